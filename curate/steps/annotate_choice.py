"""Step: which images go to an annotator, and what is proposed for them."""

from collections.abc import Sequence

from curate.annotation_tasks import Region
from curate.steps import subset as subsets
from curate.steps.record import Context


def chosen(
    context: Context, ids: Sequence[str] | None, view: str | None, subset: str | None
) -> tuple[str, ...] | None:
    """Sample ids of a view, of a subset, or as given; None where nothing of these was asked for.

    Raises:
        ValueError: more than one was asked for, or there is no such view.
        Missing: there is no such subset.
        CurateError: the subset is stale.
    """
    if sum(each is not None for each in (ids or None, view, subset)) > 1:
        raise ValueError("Ids, --view and --subset contradict each other: choose one.")
    if view is not None:
        from curate.store.proposals import samples_of_view
        from curate.store.server import connect

        with connect(context.workspace.home):
            return tuple(samples_of_view(context.paths.name, view))
    if subset is not None:
        return tuple(subsets.members(context, subset)["sample_id"])
    return tuple(ids) if ids else None


def proposed(context: Context, detector: str, only: Sequence[str] | None) -> dict[str, list[Region]]:
    """The proposals of a detector as the App shows them, edited or not; see curate.store.sending."""
    from curate.store.sending import proposed as stored
    from curate.store.server import connect

    with connect(context.workspace.home):
        return stored(context.paths.name, detector, only)
