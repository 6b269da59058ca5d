"""Prepares the demo: demo images or the user's own folder, and a recipe for them."""

from collections.abc import Callable
from pathlib import Path

from curate.errors import AlreadyExists, Missing
from curate.files import write_text
from curate.recipe import example, load
from curate.workspace import Workspace, dataset_name

DEMO_NAME = "demo"


def prepare(
    workspace: Workspace, data: Path | None, format_name: str, seed: int, say: Callable[[str], None]
) -> Path:
    """Write the demo images if no folder is given, and the recipe; returns the recipe's path.

    A recipe that is already there is kept, so that a person's edits survive.

    Raises:
        Missing: the given folder does not exist.
        AlreadyExists: the recipe is of another folder of the same name.
    """
    if data is None:
        from curate.demo_data import write_demo

        source, name, layout = workspace.home / "demo-data", DEMO_NAME, "mvtec_ad"
        say(f"Drawing demo images of flexible printed circuits in {source}")
        write_demo(source, seed=seed, n_good=24, n_per_defect=6, show_progress=True)
    else:
        source, layout = data.expanduser().absolute(), format_name
        name = dataset_name(source.name)
        if not source.is_dir():
            raise Missing(
                f"Missing: the folder {source} does not exist. Expected a folder of images in DATA."
            )
    recipe = workspace.home / "recipes" / f"{name}.toml"
    text = example(name, source, layout, seed)
    if not recipe.exists():
        write_text(recipe, text)
    elif recipe.read_text(encoding="utf-8") != text:
        _check_same_folder(recipe, source)
        say(f"The recipe {recipe} is kept as it is; delete it to begin anew.")
    return recipe


def _check_same_folder(recipe: Path, source: Path) -> None:
    """Raise unless a recipe that is kept reads the given folder."""
    paths = [one.path.resolve() for one in load(recipe).sources]
    if source.resolve() not in paths:
        raise AlreadyExists(
            f"AlreadyExists: the recipe {recipe} reads {paths[0]}, not {source}. Use another workspace "
            f"(--home), give the folder another name, or edit the recipe and run: curate build {recipe}"
        )
