"""The time at which a broadcast is to go out, as somebody types it."""

from collections.abc import Sequence
from datetime import datetime

import structlog

from bot.moments import Moment, Refused, Several, read
from bot.schedule import TYPED_LIMIT, Meaning, Schedule

log = structlog.get_logger()


def read_schedule(typed: str, *, now: datetime, zone: str, languages: Sequence[str]) -> Schedule:
    """Return what was typed as the time of a broadcast, whatever it is: nothing typed is lost."""
    unread = Schedule(typed=typed[:TYPED_LIMIT], zone=zone)
    try:
        reading = read(typed, now=now, zone=zone, languages=languages)
    except Exception as error:  # noqa: BLE001 - no fault of a library's may cost the words beside the time
        log.error("a time could not be read", kind=type(error).__name__)
        reading = Refused("write it like 2026-12-24 08:00.")
    match reading:
        case Moment(at=at):
            return unread.settled(at)
        case Several(meanings=meanings, sentence=sentence):
            kept = tuple(Meaning(at=one.moment.at, label=one.label) for one in meanings)
            return unread.model_copy(update={"meanings": kept, "problem": f"“{typed}”: {sentence}"})
        case Refused(sentence=sentence):
            return unread.model_copy(update={"problem": f"“{typed}”: {sentence}"})
