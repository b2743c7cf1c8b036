"""What cool-downs and daily caps ask of a broadcast: another time, one approval more, or a person. Pure."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Final, NamedTuple

from bot.broadcast import Broadcast, Place, Status
from bot.frequency import Limit, Overrun, Push, WhenBeyond, free_from
from bot.policy.model import Server
from bot.sentences import listed, spoken_span
from bot.zones import written

# What has gone out, or may have.
_GONE: Final = frozenset({Status.SENDING, Status.SENT, Status.PARTIAL, Status.UNKNOWN})


class Nearby(NamedTuple):
    """Another broadcast for some of the same people, or by the same author, without what it says.

    `at` is when it began to go out, or is to; None while it waits for its approvals without a time.
    """

    id: int
    guild_id: int
    audience: str
    author_id: int
    status: Status
    at: datetime | None
    corrects: int | None
    card: Place | None

    @property
    def is_gone(self) -> bool:
        """Tell whether customers got it, or may have."""
        return self.status in _GONE


class Lately(NamedTuple):
    """What the same people got lately or are to get, and what its author sent or is to, newest first.

    `own` are the limits for what its author composes, by their roles.
    """

    to_them: Sequence[Nearby] = ()
    by_author: Sequence[Nearby] = ()
    own: Sequence[Limit] = ()


NOTHING_LATELY: Final = Lately()


class TooOften(NamedTuple):
    """Why a broadcast would go out too often, what becomes of it, and from when on it would not."""

    told: str
    beyond: WhenBeyond
    free_at: datetime
    zone: str
    timed: bool

    @property
    def free(self) -> str:
        """Return from when on it would not, in words."""
        return written(self.free_at, self.zone)


def too_often(
    server: Server, broadcast: Broadcast, lately: Lately, now: datetime, *, starting: bool = False
) -> TooOften | None:
    """Return why it would go out too often: at its time, or if it had its last approval now.

    What is approved by now counts as well, until this one is starting: then what has gone out alone.
    """
    at = (broadcast.schedule.at if broadcast.schedule else None) or now + server.rules.undo_window
    at = now if starting else at
    limits = [
        (who, limit, [*_pushes(sent, starting=starting)])
        for who, limit, sent in _of(server, broadcast, lately)
    ]
    found = [
        (who, limit, over) for who, limit, pushes in limits if (over := limit.overrun(pushes, at)) is not None
    ]
    if not found:
        return None
    # What is refused by one of them is refused.
    who, limit, over = min(found, key=lambda one: one[1].beyond != "refuse")
    # Whoever corrects something, or tells of trouble by a template for it, is never kept waiting.
    urgent = broadcast.corrects is not None or bool(broadcast.lent)
    return TooOften(
        _told(who, limit, over, now),
        "approval" if urgent else limit.beyond,
        free_from([(limit, pushes) for _, limit, pushes in limits], at),
        limit.zone,
        broadcast.schedule is not None,
    )


def refuse_review(found: TooOften | None) -> str:
    """Return why nobody is asked for approval, and what its author can do; or nothing."""
    if found is None or found.beyond == "approval":
        return ""
    mend = "give it another time" if found.timed else "give it a time, or ask for approval"
    return f"{found.told}: {mend} from {found.free} on."


def refuse_last_approval(broadcast: Broadcast, found: TooOften | None) -> str:
    """Return why it may not be approved to go out as it stands, and who can do what; or nothing."""
    if found is None or _is_agreed(broadcast, found):
        return ""
    if found.beyond == "approval":
        again = "its author has to withdraw it and ask for approval again, which takes one approval more"
        mend = again if found.timed else f"approve it from {found.free} on, or {again}"
    elif found.timed:
        mend = f"its author has to give it another time, from {found.free} on"
    else:
        mend = f"approve it from {found.free} on, or its author has to withdraw it and give it a time"
    return f"{found.told}: {mend}."


def refuse_start(broadcast: Broadcast, found: TooOften | None) -> str:
    """Return why it may not go out at this very moment, or nothing."""
    if found is None or _is_agreed(broadcast, found):
        return ""
    return f"it would go out too often: {found.told}"


def open_within(server: Server, broadcast: Broadcast, lately: Lately, now: datetime) -> list[Nearby]:
    """Return what else is to reach some of the same people and has not begun, within the cool-down."""
    cool_down = server.limit_of(broadcast.audience).cool_down
    own = broadcast.due_at or (broadcast.schedule.at if broadcast.schedule else None) or now
    return [one for one in lately.to_them if not one.is_gone and abs((one.at or now) - own) < cool_down]


def with_begun(lately: Lately, begun: Sequence[Broadcast], now: datetime) -> Lately:
    """Return it with those of it that begin to go out at this very moment."""
    ids = {one.id for one in begun}

    def as_begun(sent: Sequence[Nearby]) -> Sequence[Nearby]:
        return [one._replace(status=Status.SENDING, at=now) if one.id in ids else one for one in sent]

    return Lately(as_begun(lately.to_them), as_begun(lately.by_author), lately.own)


def is_limited(server: Server, broadcast: Broadcast) -> bool:
    """Tell whether anything could make it go out too often."""
    return bool(server.caps) or not server.limit_of(broadcast.audience).is_none


def _is_agreed(broadcast: Broadcast, found: TooOften) -> bool:
    """Tell whether the policy lets it go out all the same for the approvals that it needed."""
    return found.beyond == "approval" and broadcast.too_often


def _of(
    server: Server, broadcast: Broadcast, lately: Lately
) -> Iterator[tuple[tuple[str, str, str], Limit, Sequence[Nearby]]]:
    """Yield each limit, of whom with what they did and do, and what counts for it."""
    yield (f"“{broadcast.audience}”", "got", "gets"), server.limit_of(broadcast.audience), lately.to_them
    for limit in lately.own:
        yield (broadcast.author.name, "sent", "sends"), limit, lately.by_author


def _pushes(sent: Sequence[Nearby], *, starting: bool) -> Iterator[Push]:
    for one in sent:
        if one.at is not None and (one.is_gone or (one.status is Status.APPROVED and not starting)):
            yield Push(one.id, one.at, one.is_gone)


def _told(who: tuple[str, str, str], limit: Limit, over: Overrun, now: datetime) -> str:
    name, did, does = who
    verb = did if all(one.gone for one in over.pushes) else does
    if over.day is None:
        one = over.pushes[0]
        when = f"{spoken_span(now - one.at)} ago" if one.at <= now else f"in {spoken_span(one.at - now)}"
        return (
            f"{name} {verb} #{one.number} {when}, and {spoken_span(limit.cool_down)} have to lie between two"
        )
    day = "today" if over.day == limit.day_of(now) else f"on {over.day:%Y-%m-%d}"
    which = listed((f"#{one.number}" for one in over.pushes), between=" and ")
    return f"{name} {verb} {len(over.pushes)} {day} ({which}), and the policy allows {limit.daily_cap} a day"
