"""The layout in which the triage page opens: grid, triage panel and threshold panel side by side."""

import urllib.parse
from typing import Any

from curate.store.fields import fiftyone

NAME = "triage"
ABOUT = "Images, how far people are, and scores with the threshold"
COLOUR = "#56b4e9"
GRID_SHARE, PANEL_SHARE = 0.72, 0.38  # of the page's width; of the height beside the grid
PANELS = ("curate_triage", "curate_threshold")  # as the scripts in plugins/ register them


def arrange(dataset: Any) -> str:
    """Save the layout in a dataset, unless it is there; a person's own layouts stay.

    Returns:
        Its name in addresses: /datasets/<dataset>?workspace=<name>.
    """
    layout = _layout()
    if not dataset.has_workspace(NAME) or dataset.get_workspace_info(NAME)["description"] != ABOUT:
        dataset.save_workspace(NAME, layout, description=ABOUT, color=COLOUR, overwrite=True)
    return str(dataset._get_workspace_doc(NAME).slug)


def _layout() -> Any:
    """Each space names the panel that it shows: without, the App leaves it blank."""
    fo = fiftyone()
    grid = fo.Panel(type="Samples", pinned=True)
    beside = [fo.Panel(type=name) for name in PANELS]
    spaces = [fo.Space(children=[panel], active_child=panel.component_id) for panel in (grid, *beside)]
    column = fo.Space(children=spaces[1:], orientation="vertical", sizes=[PANEL_SHARE, 1 - PANEL_SHARE])
    return fo.Space(
        children=[spaces[0], column], orientation="horizontal", sizes=[GRID_SHARE, 1 - GRID_SHARE]
    )


def query(**parts: str | None) -> str:
    """The end of an address that names a view and a layout.

    >>> query(view="missed-defects", workspace="triage"), query(view=None, workspace=None)
    ('?view=missed-defects&workspace=triage', '')
    """
    given = {name: value for name, value in parts.items() if value}
    return f"?{urllib.parse.urlencode(given)}" if given else ""
