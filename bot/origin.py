"""Where Whop is: which addresses may learn an API key, and how people call them. Pure."""

import ipaddress
import re
from typing import Final
from urllib.parse import urlsplit

WHOP_HOSTS: Final = frozenset({"api.whop.com", "sandbox-api.whop.com"})
PRODUCTION: Final = "https://api.whop.com"
# What people call it.
LIVE: Final = "Whop production"


def read_origin(value: str) -> str:
    """Return the address of one of Whop's hosts, or of this machine; raise ValueError if it is none."""
    match = re.fullmatch(r"https?://([A-Za-z0-9.-]+|\[::1\])(?::([0-9]{1,5}))?/?", value)
    if match is None:
        raise ValueError("write https:// and the host, nothing after it, such as https://api.whop.com")
    host, port = match.groups("80")
    loopback = is_loopback(host.strip("[]")) and 0 < int(port) < 65536
    address = value.removesuffix("/")
    if not loopback and address not in {f"https://{known}" for known in WHOP_HOSTS}:
        raise ValueError(f"write https:// and one of Whop's hosts: {' or '.join(sorted(WHOP_HOSTS))}")
    return address


def may_learn_key(url: str) -> bool:
    """Tell whether a request to this address may carry the API key."""
    origin = re.match(r"[a-z]+://[^/?#@\\]+(?=/)", url)
    try:
        return origin is not None and bool(read_origin(origin[0]))
    except ValueError:
        return False


def is_loopback(host: str) -> bool:
    """Tell whether the host is this machine and nothing else."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def environment_of(origin: str) -> str:
    """Return the words that tell people where a send would go."""
    host = urlsplit(origin).hostname or ""
    if is_loopback(host):
        return "simulated Whop"
    return "Whop sandbox" if host.startswith("sandbox") else LIVE
