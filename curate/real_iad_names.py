"""What folders and names of Real-IAD tell: the object, its state, the camera, the time, the defect type."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

NAME = re.compile(
    r".*?_+(?P<number>\d+)_(?P<state>OK|NG(?:_[A-Za-z]+)*)_C(?P<view>\d+)(?:_(?P<time>\d{14}))?(?:_.*)?"
)
MASK = "_mask"
SAMPLE = re.compile(r"S(\d+)")
CODES = {
    "AK": "pit",
    "BX": "deformation",
    "CH": "abrasion",
    "HS": "scratch",
    "PS": "damage",
    "QS": "missing_part",
    "YW": "foreign_object",
    "ZW": "contamination",
}


@dataclass(frozen=True)
class View:
    """One photograph of an object; None where folders and name are silent.

    Attributes:
        state: OK, NG or NG_<code>, of the object.
        number: of the object, within its category and state.
        captured_at: ISO 8601.
    """

    state: str | None
    number: str | None
    camera: str | None
    captured_at: str | None


def view(path: str) -> View:
    """Read a path; folders count before the name.

    >>> view("realiad_512/usb/NG/BX/S0007/usb_0007_NG_BX_C2_20230925164816.jpg")
    View(state='NG_BX', number='0007', camera='C2', captured_at='2023-09-25T16:48:16')
    >>> view("usb/OK/S0003/a.jpg")
    View(state='OK', number='0003', camera=None, captured_at=None)
    """
    *folders, name = path.split("/")
    named = NAME.fullmatch(name.rpartition(".")[0])
    state, number = (named["state"], named["number"]) if named else (None, None)
    if above := [at for at, folder in enumerate(folders) if folder in ("OK", "NG")]:
        below = folders[above[-1] + 1 :]
        state = "_".join([folders[above[-1]], *(folder for folder in below if not SAMPLE.fullmatch(folder))])
        number = next((match[1] for match in map(SAMPLE.fullmatch, below) if match), number)
    camera = f"C{named['view']}" if named else None
    return View(state, number, camera, _time(named["time"]) if named else None)


def _time(digits: str | None) -> str | None:
    try:
        return datetime.fromisoformat(f"{digits[:8]}T{digits[8:]}").isoformat() if digits else None
    except ValueError:
        return None


def defect_type(code: str) -> str:
    """Code and meaning; an unknown code as it is.

    >>> defect_type("AK"), defect_type("XX")
    ('AK_pit', 'XX')
    """
    return f"{code}_{CODES[code]}" if code in CODES else code


def masks(paths: Iterable[str]) -> dict[str, str | None]:
    """Masks among image files, by their name, each with its image or None.

    >>> masks(["a.jpg", "a.png", "b.png", "b_mask.png", "c_mask.png"])
    {'a.png': 'a.jpg', 'b_mask.png': 'b.png', 'c_mask.png': None}
    """
    bare = {path: path.rpartition(".")[0] for path in paths}
    photographs = {name for path, name in bare.items() if not path.lower().endswith(".png")}
    found = {}
    for path, name in bare.items():
        image = name[: -len(MASK)] if name.lower().endswith(MASK) else name
        if image != name or (path.lower().endswith(".png") and name in photographs):
            found[path] = image
    images = {name: path for path, name in bare.items() if path not in found}
    return {mask: images.get(image) for mask, image in found.items()}
