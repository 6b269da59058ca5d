"""Which image is the template of a tested one, told by their names."""

import re
from collections.abc import Iterable

TEMPLATE = "temp|template|golden|reference|ref"
TESTED = "test|tested|defect|query"


def template_of(relative_path: str, others: Iterable[str]) -> str | None:
    """The template among other images of the same part, or None.

    A template lies in the same folder and has the same name but for its end: "_temp", "_template", "_golden",
    "_reference" or "_ref", where the tested image has "_test", "_tested", "_defect", "_query" or nothing.

    Args:
        relative_path: of the tested image; a template has no template.
        others: paths of the part's other images.

    >>> template_of("g/0001_test.jpg", ["g/0002_temp.jpg", "g/0001_temp.jpg"])
    'g/0001_temp.jpg'
    >>> template_of("g/0001_temp.jpg", ["g/0001_test.jpg"]), template_of("g/01.png", ["g/02.png"])
    (None, None)
    """
    own = _stem(relative_path)
    if re.search(rf"[_-]({TEMPLATE})$", own, re.I):
        return None
    base = re.sub(rf"[_-]({TESTED})$", "", own, flags=re.I)
    wanted = re.compile(rf"{re.escape(base)}[_-]({TEMPLATE})", re.I)
    return next((path for path in sorted(others) if wanted.fullmatch(_stem(path))), None)


def _stem(path: str) -> str:
    """Folder and name of a file without its ending."""
    folder, slash, name = path.rpartition("/")
    return folder + slash + name.rpartition(".")[0]
