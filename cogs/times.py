"""The time at which a broadcast is to go out, as its card shows it."""

from typing import Final

from bot.broadcast import Broadcast
from bot.policy.model import Server
from bot.zones import written
from cogs.situation import moment
from cogs.text import inline

WHEN: Final = "When it goes out"


def when_it_goes(broadcast: Broadcast, server: Server) -> str:
    """Return the time that is set, by its reader's clock, its author's and that of its audience."""
    schedule = broadcast.schedule
    if schedule is None:
        return "once it is approved"
    if schedule.at is None:
        return f"“{inline(schedule.typed)}” is no known moment yet"
    zones = dict.fromkeys((schedule.zone, server.zone_of(broadcast.audience)))
    there = [inline(written(schedule.at, zone)) for zone in zones]
    return f"**{moment(schedule.at, 'F')}** ({moment(schedule.at, 'R')})\n{chr(10).join(there)}"
