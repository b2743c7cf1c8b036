"""The page that shows what customers see and what reached Whop."""

import base64
import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from datetime import datetime
from importlib import resources
from typing import Protocol
from urllib.parse import urlsplit

from aiohttp import web
from pydantic import BaseModel, ConfigDict, ValidationError

from bot.sandbox.whop.record import Exchange, Fault, Push, ReadFault

CUSTOMER_PAGE = "/customers"
LOOPBACK_NAMES = frozenset({"127.0.0.1", "localhost"})
MOST_SHOWN = 100

FAULTS = {
    Fault.NONE: ("Accept", "Answers as Whop does."),
    Fault.RATE_LIMITED: ("429 Too many", "Refuses with 429 and a wait; nobody is notified."),
    Fault.SERVER_ERROR: ("500 Error", "Fails with 500; nobody is notified."),
    Fault.UNAUTHORIZED: ("401 Bad key", "Refuses the API key; nobody is notified."),
    Fault.REJECT: ("400 Reject", "Refuses the notification; nobody is notified."),
    Fault.NOT_INSTALLED: ("403 Not installed", "Refuses this audience; nobody is notified."),
    Fault.FIREWALL: ("Firewall", "A web page answers in Whop's place; nobody is notified."),
    Fault.SLOW: ("Slow", "Notifies at once, but answers only after a while."),
    Fault.DROP_AFTER_ACCEPT: ("Notify, then hang up", "Customers are notified, but Herald gets no answer."),
    Fault.DROP_BEFORE_ACCEPT: ("Hang up", "Nobody is notified, and Herald gets no answer."),
}
READ_FAULTS = {
    ReadFault.NONE: ("Answer", "Answers as Whop does."),
    ReadFault.RATE_LIMITED: ("429 Too many", "Refuses with 429 and a wait."),
    ReadFault.SERVER_ERROR: ("500 Error", "Fails with 500."),
    ReadFault.FORBIDDEN: ("403 Forbidden", "The key may not read this."),
    ReadFault.FIREWALL: ("Firewall", "A web page answers in Whop's place."),
    ReadFault.HANG_UP: ("Hang up", "Herald gets no answer."),
    ReadFault.HIDDEN: ("Hidden", "Counts are 0, and members have no names."),
    ReadFault.ENDLESS: ("Without end", "Each page says that the same one comes next."),
    ReadFault.LOST_CURSOR: ("No cursor", "A page says that there is more, and not where."),
}


class Sandbox(Protocol):
    """What the page shows and changes."""

    exchanges: list[Exchange]
    reads: list[Exchange]
    pushes: list[Push]
    fault: Fault
    read_fault: ReadFault
    clock: Callable[[], datetime]
    links: Callable[[], Sequence[tuple[str, str]]]

    @property
    def next_faults(self) -> Sequence[Fault]: ...


class Wish(BaseModel):
    """Ask for a fault of what is sent, or of what is read."""

    model_config = ConfigDict(extra="forbid")

    fault: Fault | None = None
    read_fault: ReadFault | None = None


def add_customer_page(app: web.Application, sandbox: Sandbox) -> None:
    """Add the page, the state it polls, and the switch for faults."""
    page = resources.files("bot.sandbox.whop").joinpath("static", "customer.html").read_text("utf-8")
    headers = _page_headers(page)

    async def show(request: web.Request) -> web.Response:
        _check_host(request)
        return web.Response(text=page, content_type="text/html", headers=headers)

    async def state(request: web.Request) -> web.Response:
        _check_host(request)
        return web.json_response(_state(sandbox, request.query), headers={"Cache-Control": "no-store"})

    async def set_fault(request: web.Request) -> web.Response:
        _check_same_origin(request)
        try:
            wish = Wish.model_validate_json(await request.read())
        except ValidationError:
            raise web.HTTPBadRequest(text="No such fault") from None
        sandbox.fault = wish.fault or sandbox.fault
        sandbox.read_fault = wish.read_fault or sandbox.read_fault
        return web.Response(status=204)

    app.router.add_get(CUSTOMER_PAGE, show)
    app.router.add_get("/sandbox/state", state)
    app.router.add_post("/sandbox/fault", set_fault)


def _page_headers(page: str) -> dict[str, str]:
    policy = (
        "default-src 'none'; connect-src 'self'; img-src data:; "
        f"script-src {_hashes(page, 'script')}; style-src {_hashes(page, 'style')}; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    return {
        "Content-Security-Policy": policy,
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        "Cache-Control": "no-store",
    }


def _hashes(page: str, tag: str) -> str:
    blocks = re.findall(rf"<{tag}>(.*?)</{tag}>", page, re.DOTALL)
    digests = (hashlib.sha256(block.encode()).digest() for block in blocks)
    return " ".join(f"'sha256-{base64.b64encode(digest).decode()}'" for digest in digests)


def _check_host(request: web.Request) -> None:
    # A foreign site can point its own name at 127.0.0.1 and read what is served there.
    if urlsplit(f"//{request.host}").hostname not in LOOPBACK_NAMES:
        raise web.HTTPForbidden(text="Open this page by its loopback address")


def _check_same_origin(request: web.Request) -> None:
    _check_host(request)
    origin, site = request.headers.get("Origin"), request.headers.get("Sec-Fetch-Site")
    ours = origin in {None, f"http://{request.host}"} and site in {None, "same-origin"}
    if not ours or (origin is None and site is None):
        raise web.HTTPForbidden(text="Only the sandbox page itself may do this")


def _state(sandbox: Sandbox, seen: Mapping[str, str]) -> dict[str, object]:
    return {
        "now": sandbox.clock().isoformat(),
        "links": sandbox.links(),
        "fault": sandbox.fault,
        "next_faults": sandbox.next_faults,
        "faults": _choices(FAULTS),
        "read_fault": sandbox.read_fault,
        "read_faults": _choices(READ_FAULTS),
        "pushes": _fresh("pushes", sandbox.pushes, seen),
        "exchanges": _fresh("exchanges", sandbox.exchanges, seen),
        "reads": _fresh("reads", sandbox.reads, seen),
    }


def _choices(faults: Mapping[Fault, tuple[str, str]] | Mapping[ReadFault, tuple[str, str]]) -> list[object]:
    return [{"value": fault, "label": label, "hint": hint} for fault, (label, hint) in faults.items()]


def _fresh(
    name: str, items: Sequence[Push] | Sequence[Exchange], seen: Mapping[str, str]
) -> dict[str, object]:
    """Give what came after the number that the page has seen, the newest hundred at most."""
    known = seen.get(name, "0")
    start = int(known[:9]) if known.isascii() and known.isdecimal() else 0
    start = max(start, len(items) - MOST_SHOWN)
    return {"total": len(items), "items": [_shown(item) for item in items[start:]]}


def _shown(item: Push | Exchange) -> dict[str, object]:
    shown: dict[str, object] = {one.name: getattr(item, one.name) for one in fields(item)}
    if isinstance(item, Push):
        shown["reached"] = item.reached.people
    return shown | {"at": item.at.isoformat()}
