"""Which names of people can stand in a verdict."""

LONGEST = 254  # of an address for mail, which annotation tools use as a name


def is_usable(name: str) -> bool:
    """Whether a name can stand in a verdict, in a line of a file and on a terminal.

    >>> is_usable("Ann Müller"), is_usable(" "), is_usable("Ann\\n"), is_usable("a" * 300)
    (True, False, False, False)
    """
    return bool(name.strip()) and name.isprintable() and len(name) <= LONGEST


def usable(name: str) -> str:
    """A name without the white space around it.

    Raises:
        ValueError: it is blank, too long, or has characters that cannot be printed.
    """
    found = name.strip()
    if not is_usable(found):
        raise ValueError(
            f"{found[:60]!a} cannot be the name of a person: a verdict needs 1 to {LONGEST} printable "
            "characters there."
        )
    return found
