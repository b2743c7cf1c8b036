"""Bugs that are sown on purpose, each of which has to turn tests red: `make seeded`.

HERALD_SEEDED=<name>, which only tests/conftest.py reads, sows one of them for a run of the tests.
"""

import os
import re
import subprocess
import sys
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from time import monotonic
from typing import Any, Final
from uuid import uuid4

from sqlalchemy import delete, update

from bot.broadcast import Broadcast
from bot.clock import Watch
from bot.delivery import Delivery, DeliveryStatus, NoAnswer, Outcome, Response, RetryAt
from bot.errors import StoreError
from bot.freeze import Freeze
from bot.lifecycle import Lifecycle
from bot.sending.dispatcher import Dispatcher
from bot.sending.rate import Count, RateLimit
from bot.sending.roles import RoleCheck
from bot.sending.settle import Settlement
from bot.sending.start import Start
from bot.service import gate, unknowns
from bot.store import Transaction
from bot.store.freezes import Freezes
from bot.store.tables import attempts, deliveries

# Every private name in here belongs to the product, which knows nothing of this file.
# pyright: reportPrivateUsage=false


def replace_in(owner: type, name: str, wrong: object) -> None:
    """Put something wrong in the place of what the product has there."""
    assert hasattr(owner, name), f"{owner.__name__} has no {name} any more: the bug has to be sown elsewhere"
    setattr(owner, name, wrong)


def claim_after_send() -> None:
    """Let nothing of a claim stand in the database until its answer has come."""
    send = Dispatcher._send

    async def send_first(self: Dispatcher, delivery: Delivery, claimed_at: float) -> Response | NoAnswer:
        await self._store.write(_forget_claim, delivery)
        answer = await send(self, delivery, claimed_at)
        unclaimed = replace(delivery, attempts=delivery.attempts - 1)
        await self._store.write(
            lambda tx: tx.deliveries.claim([unclaimed], owner=self._owner, at=self._clock())
        )
        return answer

    replace_in(Dispatcher, "_send", send_first)


def _forget_claim(tx: Transaction, claim: Delivery) -> None:
    tx._connection.execute(
        delete(attempts).where(attempts.c.delivery_id == claim.id, attempts.c.number == claim.attempts)
    )
    tx._connection.execute(
        update(deliveries)
        .where(deliveries.c.id == claim.id)
        .values(status=DeliveryStatus.PENDING, attempts=claim.attempts - 1)
    )


def resend_on_sweep() -> None:
    """Queue again what a dead process had claimed, whether its key was proven or not."""
    given_up, why = Settlement.given_up, "swept"

    def queue_again(self: Settlement, *_: object) -> Outcome:
        return RetryAt(self._clock(), why)

    def never_give_up(self: Settlement, delivery: Delivery, *rest: Any) -> Outcome | None:
        return None if delivery.detail == why else given_up(self, delivery, *rest)

    replace_in(Settlement, "_orphaned", queue_again)
    replace_in(Settlement, "given_up", never_give_up)


def no_revision_check() -> None:
    """Let an old card act on new words."""

    def accept_old_card(*_: object) -> None:
        pass

    for module in (gate, unknowns):
        assert hasattr(module, "refuse_old_card")
        setattr(module, "refuse_old_card", accept_old_card)  # noqa: B010 - a module has no such attribute to write


def outcome_dropped_when_locked() -> None:
    """Give an outcome up that the database does not take at once."""

    async def try_once(_self: Dispatcher, write: Callable[[], Awaitable[None]]) -> None:
        with suppress(StoreError):
            await write()

    replace_in(Dispatcher, "_until_stored", try_once)


def new_key_per_attempt() -> None:
    """Make a key for each try and not for each delivery."""
    send = Dispatcher._send

    async def with_new_key(self: Dispatcher, claim: Delivery, claimed_at: float) -> Response | NoAnswer:
        headers = dict(claim.request.headers)
        if "Idempotency-Key" in headers:
            headers["Idempotency-Key"] = str(uuid4())
        return await send(self, replace(claim, request=replace(claim.request, headers=headers)), claimed_at)

    replace_in(Dispatcher, "_send", with_new_key)


def late_answer_ignored() -> None:
    """Do not listen to an answer for a claim that others have given up."""

    def ignore(*_: object) -> None:
        pass

    replace_in(Settlement, "_settle_late", ignore)


def approval_not_bound() -> None:
    """Let an approval stand for whatever the policy makes of it later."""

    def unchanged(_self: Lifecycle, _broadcast: Broadcast) -> bool:
        return True

    replace_in(Lifecycle, "is_unchanged", unchanged)


def freeze_not_read_at_the_claim() -> None:
    """Look for a freeze when a broadcast starts, and not again when its requests are claimed."""
    claim, standing = Dispatcher._claim, Freezes.standing

    def claim_blindly(self: Dispatcher, tx: Transaction) -> Any:
        def none(*_: object) -> list[Freeze]:
            return []

        replace_in(Freezes, "standing", none)
        try:
            return claim(self, tx)
        finally:
            replace_in(Freezes, "standing", standing)

    replace_in(Dispatcher, "_claim", claim_blindly)


def lateness_not_read_at_the_start() -> None:
    """Start what has been missed."""
    doubt = Start.doubt

    def doubt_less(self: Start, broadcast: Broadcast) -> str:
        why = doubt(self, broadcast)
        return "" if "has been missed" in why else why

    def never_late(*_: object) -> bool:
        return False

    replace_in(Start, "doubt", doubt_less)
    replace_in(Settlement, "_is_late", never_late)


def roles_not_read_at_the_start() -> None:
    """Trust whoever once held a role."""

    def no_doubt(*_: object) -> str:
        return ""

    replace_in(RoleCheck, "doubt", no_doubt)


def clock_not_watched() -> None:
    """Send by a clock that was set a moment ago."""
    replace_in(Watch, "is_doubtful", property(lambda _: False))


def rate_counted_per_process() -> None:
    """Forget at a restart how much was sent just before."""
    tally = RateLimit._tally

    def begin_anew(self: RateLimit, tx: Transaction, under_way: int) -> None:
        # Nothing before its own beginning is looked at.
        self._counted = self._counted or Count(self._steady(), tx.facts.get(self._begun) or 0, under_way)
        tally(self, tx, under_way)

    replace_in(RateLimit, "_tally", begin_anew)


LIFE: Final = "tests/test_life_of_broadcasts.py"
FAULTS: Final = "tests/test_delivery_faults.py::test_killed_in_each_of_many_tries_it_still_goes_out_once"
KILLED: Final = (
    "tests/test_restart.py::test_a_claim_without_an_answer_after_a_crash_is_unknown_and_not_sent_again"
)
MISSED: Final = "tests/test_restart.py::test_what_fell_due_while_herald_was_down_is_held_and_not_sent_late"
LOCKED: Final = "tests/test_dispatcher.py::test_a_known_outcome_is_recorded_as_soon_as_the_database_allows"
NEWER: Final = "tests/test_gate.py::test_an_edit_makes_old_cards_powerless_and_voids_approvals"
CHANGED: Final = "tests/test_gate.py::test_a_changed_audience_definition_stops_an_approved_broadcast"
FROZEN: Final = (
    "tests/test_freeze.py::test_a_request_under_way_when_it_freezes_is_finished_and_the_next_does_not_start"
)
RATE: Final = "tests/test_rate.py::test_a_restart_does_not_let_more_through"


@dataclass(frozen=True, slots=True)
class Bug:
    """A mistake that somebody might make, and the tests that have to notice."""

    sow: Callable[[], None]
    tests: Sequence[str]


BUGS: Final = {
    bug.sow.__name__: bug
    for bug in (
        Bug(claim_after_send, (LIFE,)),
        Bug(resend_on_sweep, (KILLED,)),
        Bug(no_revision_check, (NEWER,)),
        Bug(outcome_dropped_when_locked, (LOCKED,)),
        Bug(new_key_per_attempt, (FAULTS,)),
        Bug(late_answer_ignored, (LIFE,)),
        Bug(approval_not_bound, (CHANGED,)),
        Bug(freeze_not_read_at_the_claim, (FROZEN,)),
        Bug(lateness_not_read_at_the_start, (MISSED,)),
        Bug(roles_not_read_at_the_start, (LIFE,)),
        Bug(clock_not_watched, (LIFE,)),
        Bug(rate_counted_per_process, (RATE,)),
    )
}


def red(tests: Sequence[str], *, seeded: str = "") -> int:
    """Return how many of these tests fail; raise RuntimeError if they could not be run."""
    told = {"HERALD_SEEDED": seeded, "HYPOTHESIS_PROFILE": "brief"}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "--numprocesses=2", "-p", "no:cacheprovider", *tests],
        cwd=Path(__file__).parent.parent,
        env={**os.environ, **told},
        capture_output=True,
        text=True,
        check=False,
    )
    counts = {word: int(number) for number, word in re.findall(r"(\d+) (passed|failed|error)", done.stdout)}
    if done.returncode not in {0, 1} or not counts:
        raise RuntimeError(f"pytest could not run the tests:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    return counts.get("failed", 0) + counts.get("error", 0)


def main() -> int:
    """Sow each bug in turn, say how many tests are red, and return 1 unless each was found."""
    began = monotonic()
    healthy = red(list(dict.fromkeys(test for bug in BUGS.values() for test in bug.tests)))
    if healthy:
        say(f"without a bug · red in {healthy} tests")
        return 1
    say("without a bug · green")
    missed = 0
    for name, bug in BUGS.items():
        found = red(bug.tests, seeded=name)
        missed += not found
        say(f"{name} · red in {found} tests" if found else f"{name} · NOT FOUND")
    say(f"{len(BUGS) - missed} of {len(BUGS)} found in {monotonic() - began:.0f} s")
    return 1 if missed else 0


def say(line: str) -> None:
    """Print a line at once."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
