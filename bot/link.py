"""Where a tap on a notification leads: an address on the web, or a path inside an app. Pure."""

import re
from typing import Final

# What an address may be written with (RFC 3986); a backslash, a space or a foreign letter is read differently
# by different programs.
_WRITTEN: Final = r"[A-Za-z0-9._~:/?#\[\]@!$&'()*+,;=%-]"
_LABEL: Final = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_HOST: Final = re.compile(rf"(?:{_LABEL}\.)+(?:[a-z]{{2,63}}|xn--[a-z0-9-]{{1,59}})")
_ADDRESS: Final = re.compile(rf"https://([A-Za-z0-9.-]+)(?:[/?#]{_WRITTEN}*)?")
# Not //host, and nothing that leads up or out of where the path is appended.
_PATH: Final = re.compile(rf"/(?!/){_WRITTEN}*")
_UP_OR_OUT: Final = re.compile(r"%2f|%5c|/(?:\.|%2e){1,2}(?=[/?#]|$)", re.IGNORECASE)


def is_host(text: str) -> bool:
    """Tell whether it is the name of a host, in small letters, and nothing else."""
    return _HOST.fullmatch(text) is not None


def host_of(link: str) -> str | None:
    """Return the host of an absolute https address, in small letters; None for all else."""
    match = _ADDRESS.fullmatch(link)
    host = match[1].lower() if match else ""
    return host if is_host(host) else None


def is_path(link: str) -> bool:
    """Tell whether it is a path that stays inside the app to whose address it is appended."""
    return _PATH.fullmatch(link) is not None and _UP_OR_OUT.search(link) is None
