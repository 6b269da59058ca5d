"""Finds the image that an annotation file belongs to, by folder and stem."""

from collections import defaultdict
from collections.abc import Iterable, Sequence

from curate.faults import Fault
from curate.readings import images, stem
from curate.walking import Tree

ANNOTATION_FOLDERS = frozenset(
    {"annotations", "annotation", "segmentationclass", "labels", "label", "json", "jsons", "xml", "xmls"}
)
IMAGE_FOLDERS = frozenset({"jpegimages", "images", "image", "imgs", "img", "data"})


class Pictures:
    """The images of a tree by folder and stem."""

    def __init__(self, tree: Tree) -> None:
        self._tree = tree
        self._by_name: dict[tuple[str, str], list[str]] = defaultdict(list)
        for path in images(tree.files):
            self._by_name[path.rpartition("/")[0], stem(path)].append(path)
        self._folders: dict[str, list[str]] = {}

    def named(self, folder: str, name: str) -> list[str]:
        """Images called `name`, whatever their suffix, directly in a folder."""
        return self._by_name.get((folder, name), [])

    def of(self, annotation_path: str) -> list[str]:
        """Images with the stem of an annotation file: beside it, or else in a folder of images beside its
        folder of annotations (Annotations/a/7.xml and JPEGImages/a/7.jpg)."""
        own, *others = self.folders(annotation_path)
        name = stem(annotation_path)
        return self.named(own, name) or [path for other in others for path in self.named(other, name)]

    def folders(self, annotation_path: str) -> list[str]:
        """Where the image of an annotation file may lie: its own folder first, then those beside; see of."""
        own = annotation_path.rpartition("/")[0]
        if own not in self._folders:
            parts = own.split("/")
            beside = [
                folder
                for index, part in enumerate(parts)
                if part.lower() in ANNOTATION_FOLDERS
                for folder in self.image_folders("/".join(parts[:index]), "/".join(parts[index + 1 :]))
            ]
            self._folders[own] = [own, *beside]
        return self._folders[own]

    def image_folders(self, above: str, below: str = "") -> list[str]:
        """The folders called images, JPEGImages, ... in `above`, and `above` itself, each with `below`."""
        names = [name for name in self._tree.subfolders(above) if name.lower() in IMAGE_FOLDERS]
        return ["/".join(part for part in (above, name, below) if part) for name in [*names, ""]]


def named_twice(image: str, files: Iterable[str]) -> Fault:
    """An image of which several annotation files, or several entries, speak."""
    message = f"{image} is named more than once ({', '.join(files)}); the annotations are joined."
    remedy = "Keep one entry, if they are copies of each other."
    return Fault("named_twice", "warning", image, message, remedy)


def ambiguous(annotation_path: str, several: Sequence[str]) -> Fault:
    """An annotation file that fits several images."""
    message = f"{annotation_path} fits {' and '.join(several)}; it is used for none, and they are unknown."
    return Fault("ambiguous_image", "error", annotation_path, message, "Give each image a name of its own.")
