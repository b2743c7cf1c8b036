"""Asking Whop about the people of lists: who is in the experience, then about whoever is missing there."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final, Required, TypedDict, Unpack

from pydantic import TypeAdapter

from bot.broadcast import Status
from bot.clock import Clock
from bot.delivery import NoAnswer, Request, Response
from bot.errors import Conflict
from bot.lifecycle import Lifecycle
from bot.own_list import Named
from bot.store import Transaction
from bot.store.own_lists import Judged, ListCheck, ListRow, RowState
from bot.whop.gateway import LONGEST_WAIT, backoff
from bot.whop.reads import Failed, Part, Reads, Source, kind_of

# So many rows are asked about in one step, however much room there is.
BATCH: Final = 20
# How often a question is put again that has no answer.
TRIES: Final = 6
NOBODY: Final = "Whop knows nobody of that id or username"

_SOURCES: Final = TypeAdapter(tuple[Source, ...])

Answer = Response | NoAnswer


class Step(TypedDict, total=False):
    """How a check goes on."""

    at: Required[datetime]
    sources: str
    tries: int
    ends: bool


class ListChecks:
    """The steps of a check: what to ask next, and what the answers say."""

    def __init__(self, *, lifecycle: Lifecycle, clock: Clock) -> None:
        self._lifecycle = lifecycle
        self._clock = clock

    def is_wanted(self, tx: Transaction, account: str) -> bool:
        """Tell whether there is anything to ask an account about."""
        return tx.lists.is_wanted(account, self._clock())

    def claim(self, tx: Transaction, account: str, *, room: int) -> ListCheck | None:
        """Take the next step, of at most so many questions."""
        return tx.lists.claim(account, self._clock(), limit=min(BATCH, room))

    def ask(self, check: ListCheck) -> list[Request]:
        """Return the questions of a step."""
        reads = self._reads(check)
        if pages := _SOURCES.validate_json(check.sources):
            return [reads.ask(pages[0])]
        return [
            reads.ask_access(row.user_id, check.experience)
            if row.user_id is not None and check.experience is not None
            else reads.ask_person(row.typed)
            for row in check.rows
        ]

    def record(self, tx: Transaction, check: ListCheck, answers: Sequence[Answer]) -> datetime | None:
        """Write down what the answers say; return until when Whop asks to ask nothing more, if it does.

        Raises Conflict if somebody else has taken the step meanwhile.
        """
        if tx.broadcasts.get(check.broadcast_id).status is not Status.DRAFT:
            # Whoever cancelled it waits for nothing any more.
            self._step(tx, check, at=self._clock(), ends=True)
            return None
        if pages := _SOURCES.validate_json(check.sources):
            return self._read_page(tx, check, pages, answers[0])
        return self._judge_rows(tx, check, answers)

    def _read_page(
        self, tx: Transaction, check: ListCheck, pages: Sequence[Source], answer: Answer
    ) -> datetime | None:
        told = self._reads(check).read(pages[0], answer, now=self._clock())
        if isinstance(told, Part):
            tx.lists.welcome(check.broadcast_id, [Named(*one) for one in told.members])
            # Once everybody is found, nobody has to be looked for on other pages.
            left = (*told.then, *pages[1:]) if tx.lists.is_waiting(check.broadcast_id) else ()
            self._go_on(tx, check, sources=left)
            return None
        if told.again and check.tries + 1 < TRIES:
            return self._try_again(tx, check, [told])
        # Whoever is in the experience can still be asked about one by one.
        self._go_on(tx, check)
        return None

    def _judge_rows(self, tx: Transaction, check: ListCheck, answers: Sequence[Answer]) -> datetime | None:
        reads, now, is_last = self._reads(check), self._clock(), check.tries + 1 >= TRIES
        judged = [
            judge(reads, row, answer, experience=check.experience, now=now)
            for row, answer in zip(check.rows, answers, strict=True)
        ]
        told = [
            (row, one if isinstance(one, Judged) else Judged(RowState.OUT, why=one.why))
            for row, one in zip(check.rows, judged, strict=True)
            if isinstance(one, Judged) or is_last or not one.again
        ]
        tx.lists.judge_all(check.broadcast_id, told)
        failed = [one for one in judged if isinstance(one, Failed)]
        again = [] if is_last else [one for one in failed if one.again]
        if again:
            return self._try_again(tx, check, again)
        # One row alone says nothing of others.
        if len(judged) > 1 and len(failed) == len(judged) and len({one.why for one in failed}) == 1:
            # What keeps all of them from an answer will keep the others from one, too.
            tx.lists.give_up(check.broadcast_id, failed[0].why)
        self._go_on(tx, check)
        return None

    def _try_again(self, tx: Transaction, check: ListCheck, failed: Sequence[Failed]) -> datetime | None:
        longest = max(one.wait or timedelta() for one in failed)
        at = self._clock() + max(backoff(check.tries + 1), min(longest, LONGEST_WAIT))
        self._step(tx, check, at=at, sources=check.sources, tries=check.tries + 1)
        return at if longest else None

    def _go_on(self, tx: Transaction, check: ListCheck, *, sources: Sequence[Source] = ()) -> None:
        """Let the next step come at once, or end the check and tell the author, where nobody is left."""
        ends = not sources and not tx.lists.is_waiting(check.broadcast_id)
        left = _SOURCES.dump_json(tuple(sources)).decode()
        self._step(tx, check, at=self._clock(), sources=left, ends=ends)
        kept = tx.lists.find(check.broadcast_id) if ends else None
        if kept is not None:
            self._lifecycle.tell_of_list(tx, tx.broadcasts.get(check.broadcast_id), kept)

    def _step(self, tx: Transaction, check: ListCheck, **values: Unpack[Step]) -> None:
        if not tx.lists.go_on(check, **values):
            raise Conflict("Somebody else has taken this step of the check of a list.")

    def _reads(self, check: ListCheck) -> Reads:
        return self._lifecycle.accounts[check.account].gateway.reads


def judge(
    reads: Reads, row: ListRow, answer: Answer, *, experience: str | None, now: datetime
) -> Judged | Failed:
    """Return what an answer says of a row: who it is, and then whether they have access to the experience."""
    if row.user_id is not None:
        has_access = reads.read_access(answer, now=now)
        if isinstance(has_access, Failed):
            return has_access
        member = Named(row.user_id, row.username)
        return (
            Judged(RowState.GOOD, member)
            if has_access
            else Judged(RowState.OUT, member, f"they have no access to the experience {experience}")
        )
    found = reads.read_person(answer, now=now)
    if isinstance(found, Failed):
        return found
    if found is None:
        return Judged(RowState.OUT, why=NOBODY)
    if kind_of(row.typed) == "user" and found.id != row.typed:
        return Judged(
            RowState.OUT, why=f"Whop answered about somebody else: write {found.id} if that is them"
        )
    return Judged(RowState.FOUND if experience else RowState.GOOD, Named(*found))
