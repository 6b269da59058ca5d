"""Which names a person may give to a defect type."""


def usable(defect_type: str) -> str:
    """A defect type without the white space around it.

    Raises:
        ValueError: it is blank, or could not serve as a folder's name in an export.

    >>> usable(" scratch ")
    'scratch'
    """
    name = defect_type.strip()
    if name in ("", ".", "..") or not name.isprintable() or "/" in name:
        raise ValueError(
            f"Defect type {name!r} cannot be used: it needs at least one visible character, and no slash."
        )
    return name
