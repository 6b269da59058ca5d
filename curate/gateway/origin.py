"""Whether a request comes from a page of this very server, and is addressed to it by a name it has."""

import ipaddress
import socket
from collections.abc import Collection, Mapping
from urllib.parse import urlsplit

OTHER_SITES = ("cross-site", "same-site")  # "same-site" is another server, too: only "same-origin" is ours
SAFE = ("GET", "HEAD")


def own_names(also: Collection[str] = ()) -> frozenset[str]:
    """Names by which people may address this server, besides its IP addresses."""
    names = {"localhost", socket.gethostname(), socket.getfqdn(), f"{socket.gethostname()}.local", *also}
    return frozenset(name.lower().rstrip(".") for name in names if name)


def is_ours(host: str, names: Collection[str]) -> bool:
    """Whether a Host header names this server.

    A page of another server can be made to resolve to our address, but then it brings its own name along. No
    page has an IP address for a name but those of the server at that address.

    >>> is_ours("10.0.0.7:5151", {"lab"}), is_ours("[::1]:5151", {"lab"}), is_ours("LAB:5151", {"lab"})
    (True, True, True)
    >>> is_ours("evil.example:5151", {"lab"}), is_ours("lab@evil.example", {"lab"}), is_ours("", {"lab"})
    (False, False, False)
    """
    try:
        parts = urlsplit(f"//{host}")
        name = (parts.hostname or "").rstrip(".")
        told_port = parts.port
    except ValueError:
        return False
    plain = f"[{name}]" if ":" in name else name
    whole = plain if told_port is None else f"{plain}:{told_port}"
    if host.lower().rstrip(".") not in (whole, f"{plain}.:{told_port}"):  # user names, paths and the like
        return False
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return name in names
    return True


def is_same(method: str, headers: Mapping[str, str], scheme: str) -> bool:
    """Whether a request was made by our own page, or by a program that is no browser.

    Args:
        headers: names in lower case.
        scheme: http or https.

    >>> page = {"host": "lab:1", "origin": "https://lab:1", "sec-fetch-site": "same-origin"}
    >>> is_same("POST", page, "https"), is_same("POST", page | {"origin": "https://lab:2"}, "https")
    (True, False)
    >>> is_same("POST", {"host": "lab:1", "sec-fetch-site": "same-site"}, "https")
    False
    """
    if method in SAFE and "origin" not in headers:
        return True
    if method not in SAFE and headers.get("sec-fetch-site") in OTHER_SITES:
        return False
    own = f"{scheme}://{headers.get('host', '')}".lower()
    if "origin" in headers:
        return headers["origin"].lower() == own
    if referer := headers.get("referer"):
        parts = urlsplit(referer)
        return f"{parts.scheme}://{parts.netloc}".lower() == own
    return "sec-fetch-site" in headers or "cookie" not in headers
