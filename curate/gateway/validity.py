"""From when to when a certificate holds; one that does not is refused before anybody is let in."""

import re
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

from curate.errors import CurateError

PEM = re.compile(
    "-----BEGIN (?:X509 |TRUSTED )?CERTIFICATE-----(.*?)-----END (?:X509 |TRUSTED )?CERTIFICATE-----",
    re.DOTALL,
)
SOON = timedelta(days=14)
VERSION, UTC_TIME = 0xA0, 0x17  # tags of ASN.1
N_BEFORE = 3  # serial number, algorithm and issuer stand before the validity
NEW = "Get a new one from your company's IT, or make one as docs/sharing.md shows."


class Validity(NamedTuple):
    """From when to when a certificate holds, both in UTC."""

    first: datetime
    last: datetime


def need_valid(certificate: Path, now: datetime) -> None:
    """Raise unless every certificate of a PEM file holds now; the first is the machine's own.

    Raises:
        CurateError: one has ended, or does not hold yet.
    """
    for place, found in enumerate(validities(certificate)):
        which = f"the certificate {certificate}" if not place else f"certificate {place + 1} in {certificate}"
        if now > found.last:
            raise CurateError(
                f"CurateError: {which} ended on {_told(found.last)} UTC; now it is {_told(now)} UTC, and "
                f"browsers refuse the page. {NEW}"
            )
        if now < found.first:
            raise CurateError(
                f"CurateError: {which} holds from {_told(found.first)} UTC on; now it is {_told(now)} UTC, "
                f"and browsers refuse the page. Set this machine's clock if it is wrong. {NEW}"
            )


def ends_soon(certificate: Path, now: datetime) -> str:
    """What to say where a certificate of a PEM file ends within 14 days; empty where none does."""
    last = min(found.last for found in validities(certificate))
    if last - now > SOON:
        return ""
    return f"The certificate {certificate} ends on {_told(last)} UTC; browsers refuse the page then. {NEW}"


def validities(certificate: Path) -> list[Validity]:
    """Of each certificate of a PEM file, in order.

    Raises:
        CurateError: there is none, or one cannot be read.
    """
    blocks = PEM.findall(certificate.read_text(encoding="ascii", errors="replace"))
    try:
        found = [
            _validity(ssl.PEM_cert_to_DER_cert(f"{ssl.PEM_HEADER}{each}{ssl.PEM_FOOTER}")) for each in blocks
        ]
    except (ValueError, IndexError) as error:
        raise CurateError(
            f"CurateError: it cannot be read from when to when {certificate} holds ({error}). {NEW}"
        ) from error
    if not found:
        raise CurateError(f"CurateError: {certificate} holds no certificate in PEM form. {NEW}")
    return found


def _validity(der: bytes) -> Validity:
    """Out of a certificate after RFC 5280, section 4.1."""
    _, at, _ = _element(der, 0)  # the certificate
    _, at, _ = _element(der, at)  # what is signed in it
    tag, _, after = _element(der, at)
    at = after if tag == VERSION else at
    for _ in range(N_BEFORE):
        _, _, at = _element(der, at)
    _, at, _ = _element(der, at)
    kind, start, end = _element(der, at)
    first = _moment(kind, der[start:end])
    kind, start, end = _element(der, end)
    return Validity(first, _moment(kind, der[start:end]))


def _element(der: bytes, at: int) -> tuple[int, int, int]:
    """Tag of the ASN.1 element that begins at a place, and where its content begins and ends."""
    length, start = der[at + 1], at + 2
    if length & 0x80:
        n_bytes = length & 0x7F
        length, start = int.from_bytes(der[start : start + n_bytes], "big"), start + n_bytes
    if start + length > len(der):
        raise ValueError("it is cut off")
    return der[at], start, start + length


def _moment(kind: int, content: bytes) -> datetime:
    """A time of ASN.1.

    >>> _moment(UTC_TIME, b"490131080000Z").year, _moment(UTC_TIME, b"500131080000Z").year
    (2049, 1950)
    """
    text = content.decode("ascii")
    if kind == UTC_TIME:  # two digits of the year, from 1950 to 2049
        text = ("19" if text[:2] >= "50" else "20") + text
    return datetime.strptime(text, "%Y%m%d%H%M%SZ").replace(tzinfo=UTC)


def _told(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M}"
