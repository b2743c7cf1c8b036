"""The memory of idempotency keys: the first answer to a key is the answer to every repetition."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from bot.sandbox.whop.call import Answer, Call, Refusal

LIFE = timedelta(hours=24)
LONGEST_KEY = 255


@dataclass(slots=True, kw_only=True)
class NewEvent:
    """Remember one key; `answer` is None while its first call runs."""

    at: datetime
    fingerprint: tuple[object, ...] = field(repr=False)
    answer: Answer | None = None
    forgotten: bool = False

    def lives(self, at: datetime) -> bool:
        """Tell whether the key still counts; a forgotten one runs fresh, as if never used."""
        return not self.forgotten and at < self.at + LIFE


class Replays:
    """Keep the keys of each credential for 24 hours."""

    def __init__(self) -> None:
        self._entries: dict[tuple[str, str], NewEvent] = {}

    def open(self, call: Call, *, version: str) -> NewEvent | None:
        """Return the key's entry, a new one for a first call, or None for a call without a key."""
        key = call.headers.get("Idempotency-Key")
        if not key:
            return None
        if len(key.encode("utf-8", "surrogateescape")) > LONGEST_KEY:
            raise _key_refused(
                400, "idempotency_key_too_long", f"Idempotency-Key is over {LONGEST_KEY} bytes."
            )
        fingerprint = (call.method, call.path, call.query, call.body, version)
        entry = self._entries.get((call.credential, key))
        if entry is None or not entry.lives(call.at):
            entry = self._entries[call.credential, key] = NewEvent(at=call.at, fingerprint=fingerprint)
            return entry
        if entry.fingerprint != fingerprint:
            raise _key_refused(
                400, "idempotency_key_mismatch", "This Idempotency-Key was first used with another request."
            )
        if entry.answer is None:
            raise _key_refused(
                409,
                "idempotency_request_in_progress",
                "The first request with this Idempotency-Key still runs.",
            )
        return entry


def _key_refused(status: int, kind: str, message: str) -> Refusal:
    # Which of `type` and `code` carries the name is not documented, so both do.
    return Refusal(status, kind, message, code=kind)
