"""What quiet hours ask of a broadcast: another time, one approval more, or to wait until they end. Pure."""

from collections.abc import Mapping
from datetime import datetime
from typing import NamedTuple

from bot.broadcast import Broadcast
from bot.policy.model import Server
from bot.quiet import QuietHours
from bot.schedule import Schedule


class Disturbance(NamedTuple):
    """In which quiet hours a broadcast would go out, and when these end."""

    quiet: QuietHours
    end: datetime
    timed: bool

    @property
    def waits(self) -> bool:
        """Tell whether it goes out at their end instead: what has a time of its own was moved before."""
        return self.quiet.mode == "shift" and not self.timed

    @property
    def told(self) -> str:
        """Return the beginning of a sentence that says so."""
        which = self.quiet.told(self.end)
        return f"Its time lies in {which}" if self.timed else f"It would go out in {which}"


def disturbance(server: Server, broadcast: Broadcast, now: datetime) -> Disturbance | None:
    """Return in which quiet hours it would go out: at its time, or if it had its last approval now."""
    quiet, schedule = server.quiet_of(broadcast.audience), broadcast.schedule
    at = schedule.at if schedule else now + server.rules.undo_window
    end = quiet.end_after(at) if quiet and at else None
    return Disturbance(quiet, end, timed=schedule is not None) if quiet and end else None


def moved(server: Server, audience: str, schedule: Schedule | None) -> Schedule | None:
    """Return a time as it is stored: at the end of the quiet hours it lies in, where the policy shifts it."""
    quiet = server.quiet_of(audience)
    if schedule is None or schedule.at is None or quiet is None or quiet.mode != "shift":
        return schedule
    end = quiet.end_after(schedule.at)
    if end is None:
        return schedule
    return schedule.settled(end).model_copy(update={"moved_from": schedule.moved_from or schedule.at})


def as_submitted(server: Server, broadcast: Broadcast, now: datetime) -> Broadcast:
    """Return it as it would be submitted now: to go out in quiet hours, for one approval more, or not."""
    found = disturbance(server, broadcast, now)
    agrees = found is not None and found.quiet.mode == "approval"
    return broadcast.model_copy(update={"in_quiet_hours": agrees})


def refuse_review(server: Server, broadcast: Broadcast, now: datetime) -> str:
    """Return why nobody is asked for approval, and what its author can do; or nothing."""
    found = disturbance(server, broadcast, now)
    if found is None or found.waits or found.quiet.mode == "approval":
        return ""
    if not found.timed:
        return f"{found.told}: give it a time from then on, or ask for approval once they are over."
    if found.quiet.mode == "shift":
        # It was stored under another policy.
        return f"{found.told}: edit it, and its time is moved there."
    return f"{found.told}: give it another one."


def refuse_last_approval(server: Server, broadcast: Broadcast, now: datetime) -> str:
    """Return why it may not be approved to go out as it stands, and who can do what; or nothing."""
    found = disturbance(server, broadcast, now)
    if found is None or found.waits or _is_agreed(found.quiet, broadcast):
        return ""
    again = "its author has to withdraw it and ask for approval again, which takes one approval more"
    if found.quiet.mode == "approval":
        mend = again if found.timed else f"approve it after that, or {again}"
    elif found.timed:
        mend = "its author has to give it another one"
    else:
        mend = "approve it after that, or its author has to withdraw it and give it a time"
    return f"{found.told}: {mend}."


def refuse_start(server: Server, broadcast: Broadcast, now: datetime) -> str:
    """Return why it may not go out at this very moment, or nothing."""
    quiet = server.quiet_of(broadcast.audience)
    if quiet is None or _is_agreed(quiet, broadcast) or quiet.end_after(now) is None:
        return ""
    return f"it would go out in {quiet}"


def _is_agreed(quiet: QuietHours, broadcast: Broadcast) -> bool:
    """Tell whether the policy lets it go out in them for the approvals that it needed."""
    return quiet.mode == "approval" and broadcast.in_quiet_hours


def waited_for(server: Server, now: datetime) -> Mapping[str, datetime]:
    """Return for which audiences what is approved now waits for the end of quiet hours, and until when."""
    found: dict[str, datetime] = {}
    for one in server.audiences:
        quiet = server.quiet_of(one.name)
        end = quiet.end_after(now + server.rules.undo_window) if quiet and quiet.mode == "shift" else None
        if end is not None:
            found[one.name] = end
    return found


def time_of(server: Server, broadcast: Broadcast, now: datetime) -> datetime | None:
    """Return when it goes out if it has all approvals now: its time, or the end of quiet hours it waits for.

    None if it goes out once its undo window has passed.
    """
    found = disturbance(server, broadcast, now)
    if found is not None and found.waits:
        return found.end
    return broadcast.schedule.at if broadcast.schedule else None
