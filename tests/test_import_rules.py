"""Who may import whom: heavy packages have owners, and detectors stand alone."""

import ast
from pathlib import Path

import pytest

from tests.helpers.places import REPOSITORY

OWNERS = {
    "fiftyone": ("curate/store/",),
    "ray": ("curate/engines/",),
    "torch": ("detectors/", "curate/doctor/"),
    "torchvision": ("detectors/", "curate/doctor/"),
    "timm": ("detectors/",),
    "openvino": ("detectors/",),
    "onnxruntime": ("detectors/",),
    "albumentations": ("curate/defects/",),
    "pymongo": ("curate/store/", "curate/shell.py"),
}
PLAIN = ("curate/cli.py", "curate/registry.py", "curate/shell.py", "curate/commands/")
HEAVY = {*OWNERS, "pandas", "numpy", "skimage", "scipy", "cv2", "pyarrow", "matplotlib", "jsonschema"}
SOURCES = [
    path.relative_to(REPOSITORY).as_posix()
    for folder in ("curate", "detectors")
    for path in sorted((REPOSITORY / folder).rglob("*.py"))
]


def imports(path: Path, top_level_only: bool = False) -> set[str]:
    """Dotted names of the modules that a file imports."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    nodes = tree.body if top_level_only else list(ast.walk(tree))
    found = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found


@pytest.mark.parametrize("source", SOURCES)
def test_heavy_packages_are_imported_by_their_owners_only(source: str) -> None:
    roots = {name.split(".")[0] for name in imports(REPOSITORY / source)}
    for package, owners in OWNERS.items():
        assert package not in roots or source.startswith(owners), f"{source} imports {package}"


@pytest.mark.parametrize("source", [source for source in SOURCES if source.startswith("detectors/")])
def test_detectors_stand_alone(source: str) -> None:
    roots = {name.split(".")[0] for name in imports(REPOSITORY / source)}
    assert not roots & {"curate", "pandas", "fiftyone"}


@pytest.mark.parametrize("source", [source for source in SOURCES if source.startswith(PLAIN)])
def test_the_command_line_is_light_at_the_top(source: str) -> None:
    roots = {name.split(".")[0] for name in imports(REPOSITORY / source, top_level_only=True)}
    assert not roots & HEAVY


@pytest.mark.parametrize("source", [source for source in SOURCES if source.startswith("curate/")])
def test_only_the_store_the_steps_and_the_doctor_use_the_store(source: str) -> None:
    may = ("curate/store/", "curate/steps/", "curate/doctor/", "curate/commands/", "curate/shell.py")
    uses = any(name.startswith("curate.store") for name in imports(REPOSITORY / source))
    assert not uses or source.startswith(may), f"{source} imports curate.store"
