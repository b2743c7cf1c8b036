"""The time at which a broadcast is to go out, as its card shows it."""

from collections.abc import Iterator
from datetime import datetime
from typing import Final

from bot.broadcast import Broadcast, Status
from bot.policy.model import Server
from bot.quiet_rules import disturbance, refuse_last_approval, refuse_review, time_of
from bot.quorum import needed
from bot.sentences import people, spoken_span
from bot.zones import local_time, written
from cogs.situation import moment
from cogs.text import inline

WHEN: Final = "When it goes out"
QUIET: Final = "🌙 Quiet hours"
SERIES: Final = "🔁 Series"


def time_fields(broadcast: Broadcast, server: Server, now: datetime) -> Iterator[tuple[str, str]]:
    """Yield what a card says of when it goes out, each with its name."""
    if broadcast.schedule is not None:
        yield WHEN, when_it_goes(broadcast, server)
    if quiet := quiet_note(broadcast, server, now):
        yield QUIET, quiet
    if broadcast.series is not None:
        yield SERIES, told_of_series(broadcast, server)


def when_it_goes(broadcast: Broadcast, server: Server) -> str:
    """Return the time that is set, by its reader's clock, its author's and that of its audience."""
    schedule = broadcast.schedule
    if schedule is None:
        return "once it is approved"
    if schedule.at is None:
        return f"“{inline(schedule.typed)}” is no known moment yet"
    zones = dict.fromkeys((schedule.zone, server.zone_of(broadcast.audience)))
    there = [inline(written(schedule.at, zone)) for zone in zones]
    lines = [f"**{moment(schedule.at, 'F')}** ({moment(schedule.at, 'R')})", *there]
    if moved := _moved_line(broadcast, server):
        lines.append(f"🌙 {moved}")
    return "\n".join(lines)


def when_asked(broadcast: Broadcast, server: Server, now: datetime, *, ends: datetime) -> str:
    """Return when what is submitted now would go out, and on which conditions; its review `ends` then."""
    lacking, timed = needed(server, broadcast) - broadcast.agreed, broadcast.schedule
    undo = _span(server.rules.undo_window.total_seconds())
    at = time_of(server, broadcast, now)
    if at is not None and (timed or lacking <= 0):
        zone = timed.zone if timed else server.zone_of(broadcast.audience)
        agreed = (
            f" if {people(lacking)} of your team approved it by {moment(ends, 'f')}" if lacking > 0 else ""
        )
        return (
            f"at **{moment(at, 'F')}** ({inline(written(at, zone))}){agreed}; until it goes out it can be"
            " stopped"
        )
    if lacking > 0:
        return (
            f"once {people(lacking)} of your team approved it and {undo} have passed in which it can be"
            " stopped"
        )
    return f"**{undo} after you confirm it here**, in which it can be stopped"


def quiet_lines(broadcast: Broadcast, server: Server, now: datetime) -> list[str]:
    """Return what is said of quiet hours where approval is asked for, line by line."""
    lines = (_moved_line(broadcast, server), quiet_note(broadcast, server, now))
    return [f"🌙 {line}" for line in lines if line]


def _span(seconds: float) -> str:
    return f"{int(seconds)} seconds" if seconds < 120 else f"{int(seconds // 60)} minutes"


def _moved_line(broadcast: Broadcast, server: Server) -> str:
    """Return from when its time was moved to the end of quiet hours, by the clocks of its audience."""
    schedule = broadcast.schedule
    if schedule is None or schedule.at is None or schedule.moved_from is None:
        return ""
    zone = server.zone_of(broadcast.audience)
    before, after = (f"{local_time(at, zone):%H:%M}" for at in (schedule.moved_from, schedule.at))
    return (
        f"Moved from {before}: quiet hours of **{inline(broadcast.audience)}** end at {after}"
        f" ({inline(zone)})"
    )


def quiet_note(broadcast: Broadcast, server: Server, now: datetime) -> str:
    """Return what quiet hours ask of what is not approved yet, or nothing.

    Of what is under review it says nothing that another moment would make untrue.
    """
    quiet, found = server.quiet_of(broadcast.audience), disturbance(server, broadcast, now)
    if quiet is None or broadcast.status not in {Status.DRAFT, Status.REVIEW}:
        return ""
    is_draft = broadcast.status is Status.DRAFT
    if is_draft and refuse_review(server, broadcast, now):
        # That stands above, among what it lacks.
        return ""
    which = f"quiet hours of **{inline(broadcast.audience)}** ({quiet.hours}, {inline(quiet.zone)})"
    if broadcast.in_quiet_hours:
        return f"It may go out in the {which}, so it needs **one approval more**."
    if broadcast.schedule is not None:
        return inline(refuse_last_approval(server, broadcast, now)) if found and not is_draft else ""
    match quiet.mode:
        case "shift":
            return f"Approved in the {which}, it waits and goes out when they end."
        case "approval" if is_draft:
            return f"To go out in the {which} it needs one approval more: ask for it then."
        case "approval":
            return f"Its last approval is refused in the {which}: it was asked for at another hour."
        case "refuse":
            own = ". With a time of its own it is approved at any hour" if is_draft else ""
            return f"Its last approval is refused in the {which}{own}."


def told_of_series(broadcast: Broadcast, server: Server) -> str:
    """Say on a card that a broadcast is one of a series, and what its approval covers."""
    first = broadcast.series == broadcast.id
    which = "The first of a series" if first else f"One of the series that began with #{broadcast.series}"
    allowed = server.rules.series_approval
    if not allowed.uses:
        return f"{which}. Each of it is approved by itself; `/notify series` shows the rest."
    return (
        f"{which}; `/notify series` shows the rest. **Approving it covers up to {allowed.uses} more** within"
        f" {spoken_span(allowed.within)}, with these words, for this audience, at this time of day. It ends"
        " with whatever anybody stops."
    )
