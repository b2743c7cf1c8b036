"""What waits, in the order in which it comes about, and what of it reaches the same people close by. Pure."""

from collections.abc import Callable, Iterable, Set
from datetime import datetime, timedelta, tzinfo
from typing import Final, NamedTuple

from bot.broadcast import Status
from bot.policy.model import Server

CLOSE: Final = timedelta(hours=1)


class Waits(NamedTuple):
    """What is known of something that waits without reading what it says."""

    id: int
    status: Status
    audience: str
    due_at: datetime | None
    scheduled_at: datetime | None

    @property
    def at(self) -> datetime | None:
        """Return when it would go out by itself, once approved; None if it waits for somebody alone."""
        if self.status is Status.APPROVED:
            return self.due_at
        return self.scheduled_at if self.status is Status.REVIEW else None

    @property
    def place(self) -> tuple[bool, float, int]:
        """Return its place: first what waits for somebody, the newest first, then by the time."""
        return (self.at is not None, self.at.timestamp() if self.at else 0, -self.id)


class Clash(NamedTuple):
    """Something else that reaches some of the same people, as far as the policy tells."""

    id: int
    is_close: bool
    is_same_audience: bool


def page(
    waiting: Iterable[Waits], *, limit: int, before: Waits | None = None, after: Waits | None = None
) -> list[Waits]:
    """Return the first, or those next to one: it came `before` them, or comes `after`, the nearest first."""
    found = sorted(waiting, key=lambda one: one.place, reverse=after is not None)
    if before is not None:
        found = [one for one in found if one.place > before.place]
    if after is not None:
        found = [one for one in found if one.place < after.place]
    return found[:limit]


def clashes(one: Waits, waiting: Iterable[Waits], server: Server, zone: tzinfo) -> list[Clash]:
    """Return what else goes to some of the same people on the same day or within an hour, nearest first."""
    at = one.at
    if at is None:
        return []
    overlaps = overlapping(server, one.audience)
    found = [
        (abs(other.at - at), Clash(other.id, abs(other.at - at) < CLOSE, other.audience == one.audience))
        for other in waiting
        if other.at is not None
        and other.id != one.id
        and (abs(other.at - at) < CLOSE or other.at.astimezone(zone).date() == at.astimezone(zone).date())
        and overlaps(other.audience)
    ]
    return [clash for _, clash in sorted(found, key=lambda pair: (pair[0], pair[1].id))]


def together(server: Server, audience: str) -> Set[str]:
    """Return an audience with all others that name some of the same people."""
    overlaps = overlapping(server, audience)
    return {audience, *(one.name for one in server.audiences if overlaps(one.name))}


def overlapping(server: Server, audience: str) -> Callable[[str], bool]:
    """Return what tells whether another audience names some of the same people."""
    reached = {one.name: one.reached() for one in server.audiences}
    own = reached.get(audience, frozenset())
    return lambda other: other == audience or not own.isdisjoint(reached.get(other, frozenset()))
