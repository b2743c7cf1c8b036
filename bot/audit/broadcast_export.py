"""An export of broadcasts: one JSON line for each, from which its proof code is computed again. Pure."""

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from bot.broadcast import Approval, Broadcast, Revision
from bot.characters import isolated, reveal
from bot.delivery import Delivery
from bot.notification import fingerprint_of, printed
from bot.policy.audience import Audience, ListTargets
from bot.schedule import Schedule
from bot.summary import Course, summary
from bot.value import Person

# All ASCII: no program on a file's way can take its letters for others.
_written: Final = json.JSONEncoder(ensure_ascii=True, separators=(",", ":")).encode


class Scopes:
    """What was ever fingerprinted beside words: each audience, as each policy defined it."""

    def __init__(self, written: Iterable[str]) -> None:
        self._of_audience: dict[str | None, list[Mapping[str, Any]]] = defaultdict(list)
        for scope in map(json.loads, dict.fromkeys(written)):
            self._of_audience[scope["audience"].get("name")].append(scope)

    def parts(self, broadcast: Broadcast) -> Mapping[str, object] | None:
        """Return what the fingerprint was computed from; None if a policy that nobody kept defined it."""
        time = broadcast.schedule.printed() if broadcast.schedule else None
        known = (*self._of_audience[broadcast.audience], *self._of_audience[None])
        if broadcast.listed is not None:
            # No policy defines who that is: the broadcast itself does.
            whom = Audience(name=broadcast.audience, targets=ListTargets(listed=broadcast.listed))
            known = tuple({**scope, "audience": whom.definition()} for scope in self._of_audience[None])
        possible = (printed(broadcast.notification, scope, time=time) for scope in known)
        return next((parts for parts in possible if fingerprint_of(parts) == broadcast.fingerprint), None)


def told(course: Course) -> str:
    """Return the answer in one sentence, for a terminal or a file."""
    return summary(
        course,
        spoken=lambda typed: isolated(reveal(" ".join(typed.split()))),
        moment=lambda at: f"{at.astimezone(UTC):%Y-%m-%d %H:%M} UTC",
    )


def to_line(
    course: Course,
    revisions: Sequence[Revision],
    *,
    server: str,
    parts: Mapping[str, object] | None,
) -> str:
    """Return all that is known of one broadcast; ids are texts, as Discord writes them."""
    one = course.broadcast
    return _written(
        {
            "number": one.id,
            "server": {"id": str(one.guild_id), "name": server},
            "summary": told(course),
            "status": one.status.value,
            "proof": one.proof,
            "fingerprint": one.fingerprint,
            "fingerprinted": parts,
            "audience": one.audience,
            "words": one.notification.model_dump(),
            "author": _person(one.author),
            "shared_with": [_person(person) for person in one.shared],
            "revision": one.revision,
            "revisions": [_revision(revision) for revision in revisions],
            "approvals": [_approval(given, one.proof) for given in (*one.approvals, *one.lent)],
            "deliveries": [_delivery(delivery) for delivery in course.deliveries],
            "note": one.note,
            "reason": one.reason,
            "repeats": one.repeats,
            "corrects": one.corrects,
            "corrected_by": one.corrected_by,
            "created_at": _time(one.created_at),
            "updated_at": _time(one.updated_at),
            "schedule": _schedule(one.schedule),
            "in_quiet_hours": one.in_quiet_hours,
            "due_at": _time(one.due_at),
            "review_expires_at": _time(one.review_expires_at),
        }
    )


def _person(person: Person) -> Mapping[str, str]:
    # Eighteen digits are more than many programs keep of a number.
    return {"id": str(person.id), "name": person.name}


def _time(at: datetime | None) -> str | None:
    return at.astimezone(UTC).isoformat() if at else None


def _revision(one: Revision) -> Mapping[str, object]:
    return {
        "revision": one.number,
        "editor": _person(one.editor),
        "at": _time(one.at),
        "audience": one.audience,
        "words": one.notification.model_dump(),
        "schedule": _schedule(one.schedule),
    }


def _schedule(one: Schedule | None) -> Mapping[str, object] | None:
    return {**one.printed(), "typed": one.typed, "moved_from": _time(one.moved_from)} if one else None


def _approval(one: Approval, proof: str) -> Mapping[str, object]:
    return {
        "by": _person(one.approver),
        "at": _time(one.at),
        "proof": proof,
        "template": one.template,
        "series": one.series,
    }


def _delivery(one: Delivery) -> Mapping[str, object]:
    return {
        "request": one.position,
        "url": one.request.url,
        "outcome": one.status.value,
        "detail": one.detail,
        "attempts": [
            {
                "started_at": _time(attempt.started_at),
                "finished_at": _time(attempt.finished_at),
                "http_status": attempt.http_status,
                "outcome": attempt.outcome,
                "detail": attempt.detail,
            }
            for attempt in one.past
        ],
    }
