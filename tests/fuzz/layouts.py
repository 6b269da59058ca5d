"""Changes of a whole tree: files that are missing, exchanged, badly named, of the wrong kind, or too many."""

import unicodedata
from collections.abc import Callable
from pathlib import PurePosixPath
from random import Random

from curate.images import is_image
from tests.fuzz.mutations import Mutation
from tests.fuzz.paths import CANARY, HOSTILE_NAMES
from tests.fuzz.trees import Change, Folder, Link, Node, Pipe, Tree

N_COPIES = 200


def _file(tree: Tree, rng: Random, fits: Callable[[str], bool] = lambda path: True) -> str:
    files = sorted(path for path, node in tree.items() if isinstance(node, bytes))
    return rng.choice([path for path in files if fits(path)] or files)


def _folder(tree: Tree, rng: Random) -> str:
    """A folder with files, not the root where there is another one."""
    folders = sorted({str(parent) for path in tree for parent in PurePosixPath(path).parents} - {"."})
    return rng.choice(folders or [""])


def _below(path: str, folder: str) -> bool:
    return not folder or path.startswith(f"{folder}/")


def _beside(path: str, name: str) -> str:
    folder = path.rpartition("/")[0]
    return f"{folder}/{name}" if folder else name


def _moved(tree: Tree, old: str, new: str) -> dict[str, Node]:
    """The tree with a file or folder under another name, in place of what had that name."""
    others = {path: node for path, node in tree.items() if path != old and not _below(path, old)}
    moved = {new + path[len(old) :]: node for path, node in tree.items() if path == old or _below(path, old)}
    return {path: node for path, node in others.items() if not _below(path, new) and path != new} | moved


def file_missing(tree: Tree, rng: Random) -> dict[str, Node]:
    gone = _file(tree, rng)
    return {path: node for path, node in tree.items() if path != gone}


def some_missing(tree: Tree, rng: Random) -> dict[str, Node]:
    return {path: node for path, node in tree.items() if rng.random() < 0.5}


def folder_missing(tree: Tree, rng: Random) -> dict[str, Node]:
    gone = _folder(tree, rng)
    return {path: node for path, node in tree.items() if not _below(path, gone)}


def nothing(tree: Tree, rng: Random) -> dict[str, Node]:
    return {_folder(tree, rng) or "empty": Folder()}


def swapped(tree: Tree, rng: Random) -> dict[str, Node]:
    one, other = _file(tree, rng), _file(tree, rng)
    return {**tree, one: tree[other], other: tree[one]}


def images_swapped(tree: Tree, rng: Random) -> dict[str, Node]:
    one, other = _file(tree, rng, is_image), _file(tree, rng, is_image)
    return {**tree, one: tree[other], other: tree[one]}


def text_of_image(tree: Tree, rng: Random) -> dict[str, Node]:
    """Every annotation file holds a picture."""
    picture = tree[_file(tree, rng, is_image)]
    return {path: node if is_image(path) else picture for path, node in tree.items()}


def folder_for_file(tree: Tree, rng: Random) -> dict[str, Node]:
    old = _file(tree, rng)
    others = {path: node for path, node in tree.items() if path != old}
    return others | rng.choice(({old: Folder()}, {f"{old}/{old.rpartition('/')[2]}": tree[old]}))


def file_for_folder(tree: Tree, rng: Random) -> dict[str, Node]:
    old = _folder(tree, rng)
    return {path: node for path, node in tree.items() if not _below(path, old)} | {
        old or "file": b"no folder"
    }


def pipe_for_file(tree: Tree, rng: Random) -> dict[str, Node]:
    return {**tree, _file(tree, rng): Pipe()}


def pipe_for_text(tree: Tree, rng: Random) -> dict[str, Node]:
    return {**tree, _file(tree, rng, lambda path: not is_image(path)): Pipe()}


def link_for_file(tree: Tree, rng: Random) -> dict[str, Node]:
    """Links that lead nowhere, to themselves, to a folder, to a device, to a file elsewhere."""
    old = _file(tree, rng)
    targets = (
        "nowhere.png",
        old.rpartition("/")[2],
        ".",
        "..",
        "../../../..",
        "/dev/zero",
        "/dev/full",
        "x" * 300,
    )
    linked = str(PurePosixPath(*[".."] * (old.count("/") + 1), "linked", "a.png"))
    return {**tree, old: Link(rng.choice((*targets, linked)))}


def folder_linked(tree: Tree, rng: Random) -> dict[str, Node]:
    """A further name of a folder that is in the tree, so that every file in it is there twice."""
    old = _folder(tree, rng)
    return {**tree, f"{old} linked" if old else "linked": Link(old.rpartition("/")[2] or ".")}


def file_renamed(tree: Tree, rng: Random) -> dict[str, Node]:
    old = _file(tree, rng, is_image)
    return _moved(tree, old, _beside(old, rng.choice(HOSTILE_NAMES) + PurePosixPath(old).suffix))


def any_file_renamed(tree: Tree, rng: Random) -> dict[str, Node]:
    old = _file(tree, rng)
    return _moved(tree, old, _beside(old, rng.choice(HOSTILE_NAMES) + PurePosixPath(old).suffix))


def images_added(tree: Tree, rng: Random) -> dict[str, Node]:
    """Copies of one image beside it, under several hostile names."""
    old = _file(tree, rng, is_image)
    names = rng.sample(HOSTILE_NAMES, 6)
    return {**tree, **{_beside(old, name + PurePosixPath(old).suffix): tree[old] for name in names}}


def folder_renamed(tree: Tree, rng: Random) -> dict[str, Node]:
    old = _folder(tree, rng)
    return _moved(tree, old, _beside(old, rng.choice(HOSTILE_NAMES)))


def affixed(tree: Tree, rng: Random) -> dict[str, Node]:
    """All files of a folder get something before or after their stem."""
    folder, sign = _folder(tree, rng), rng.choice(HOSTILE_NAMES)[:40]
    return {
        (_beside(path, sign + path.rpartition("/")[2]) if _below(path, folder) else path): node
        for path, node in tree.items()
    }


def case_changed(tree: Tree, rng: Random) -> dict[str, Node]:
    old = rng.choice((_file(tree, rng), _folder(tree, rng)))
    return _moved(tree, old, _beside(old, old.rpartition("/")[2].swapcase()))


def suffix_changed(tree: Tree, rng: Random) -> dict[str, Node]:
    old = _file(tree, rng)
    suffix = rng.choice(
        (".png", ".PNG", ".jpeg", ".tif", ".json", ".txt", ".gif", "", ".png.png", ".csv", ". png")
    )
    return _moved(tree, old, str(PurePosixPath(old).with_suffix("")) + suffix)


def accents(tree: Tree, rng: Random) -> dict[str, Node]:
    """Names that differ only in how Unicode writes an accent."""
    old = _file(tree, rng, is_image)
    names = [unicodedata.normalize(form, f"é{PurePosixPath(old).suffix}") for form in ("NFC", "NFD")]
    return {**tree, **{_beside(old, name): tree[old] for name in names}}


def slashes(tree: Tree, rng: Random) -> dict[str, Node]:
    """A backslash in a name where another file has a folder."""
    old = _file(tree, rng, lambda path: is_image(path) and "/" in path)
    folder, _, name = old.rpartition("/")
    return {**tree, f"{folder}\\{name}": tree[old]}


def second_suffix(tree: Tree, rng: Random) -> dict[str, Node]:
    """An image under its stem with other suffixes too, so that its stem fits several files."""
    old = _file(tree, rng, is_image)
    stem = str(PurePosixPath(old).with_suffix(""))
    return {**{stem + suffix: tree[old] for suffix in (".png", ".JPG", ".tif", ".bmp")}, **tree}


def deep_folders(tree: Tree, rng: Random) -> dict[str, Node]:
    old = _file(tree, rng)
    return _moved(tree, old, _beside(old, "/".join(["d" * 20] * 60) + f"/{old.rpartition('/')[2]}"))


def one_level_down(tree: Tree, rng: Random) -> dict[str, Node]:
    return {f"inner/{path}": node for path, node in tree.items()}


def many_copies(tree: Tree, rng: Random) -> dict[str, Node]:
    """Two hundred copies of one small file beside it."""
    old = _file(tree, rng)
    stem, suffix = PurePosixPath(old).stem, PurePosixPath(old).suffix
    return {**tree, **{_beside(old, f"{stem}{n}{suffix}"): tree[old] for n in range(N_COPIES)}}


def twice_in_tree(tree: Tree, rng: Random) -> dict[str, Node]:
    """A file of one folder is in another one too, so that the folders contradict each other."""
    old, folder = _file(tree, rng), _folder(tree, rng)
    return {**tree, f"{folder}/{old.rpartition('/')[2]}".lstrip("/"): tree[old]}


def clutter(tree: Tree, rng: Random) -> dict[str, Node]:
    names = (
        ".hidden.png", "Thumbs.db", "notes.txt", "a.json", "b.xml", "c.csv", "d.yaml", "LICENSE",
        "classes.txt", f"{CANARY}.png", "curate-table.toml", "manifest.json", "image_anno.csv",
    )  # fmt: skip
    folder = _folder(tree, rng)
    added = {f"{folder}/{name}".lstrip("/"): rng.choice(list(tree.values())) for name in rng.sample(names, 5)}
    return {**tree, **{path: node for path, node in added.items() if path not in tree}}


def masks_resized(tree: Tree, rng: Random) -> dict[str, Node]:
    """Every PNG holds the picture of another one, as when masks are mixed up."""
    files = sorted(path for path in tree if path.lower().endswith((".png", ".bmp")))
    contents = [tree[path] for path in files]
    rng.shuffle(contents)
    return {**tree, **dict(zip(files, contents, strict=True))}


LAYOUTS: tuple[Change, ...] = (
    *[file_missing] * 2, some_missing, folder_missing, nothing, swapped, images_swapped, text_of_image,
    *[folder_for_file] * 2, file_for_folder, pipe_for_file, pipe_for_text, *[link_for_file] * 5,
    folder_linked, *[file_renamed] * 8, *[any_file_renamed] * 2, *[images_added] * 6, *[folder_renamed] * 3,
    *[affixed] * 2, case_changed, *[suffix_changed] * 2, accents, slashes, *[second_suffix] * 2, deep_folders,
    one_level_down, *[many_copies] * 2, *[twice_in_tree] * 2, *[clutter] * 2, masks_resized,
)  # fmt: skip


def on_file(mutation: Mutation, fits: Callable[[str], bool]) -> Change:
    """A change of the tree that damages one of its files that fit."""

    def change(tree: Tree, rng: Random) -> dict[str, Node]:
        path = _file(tree, rng, fits)
        node = tree[path]
        return {**tree, path: mutation(node, rng) if isinstance(node, bytes) else node}

    change.__name__ = mutation.__name__
    return change
