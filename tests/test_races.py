"""Two at once, in one process or in two: nothing counts twice, nothing is lost, nothing forks."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Coroutine
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Final, cast

import pytest_asyncio

from bot.app import Parts, Worker
from bot.audit.chain import HERALD, NewEvent, first_broken
from bot.broadcast import Broadcast, Status
from bot.delivery import Delivery, Request, Response
from bot.errors import Refused
from bot.everyday import Typed
from bot.notification import Notification, Text
from bot.policy.model import ACCOUNT
from bot.store import Access, Store
from bot.store.facts import Fact
from bot.value import Person
from bot.whop.transport import Transport
from tests.harness.clock import NOW, ManualClock
from tests.harness.deliveries import may_go
from tests.harness.people import Members, approved, member, submitted
from tests.harness.policy import APPROVE, COMPOSE, GUILD, ONE, audience, parsed, rules, server
from tests.harness.process import settings_of

NAME: Final = Fact("name", str, str)


# What goes wrong only sometimes has to be tried more than once.
TIMES: Final = 5
DOWN: Final = """
[[server.template]]
name = "Down"
audience = "One"
topic = "news"
subject = "Down"
content = "{service} is down."
"""
POLICY: Final = server(
    ONE,
    audience("Two", "exp_gold", "exp_silver", more="approvals = 2\n"),
    DOWN,
    rules=rules(more='lent_by_template = "1 in 4s"\nlent_to_person = "9 in 1m"\n'),
)
MAYA = member(101, "Maya", COMPOSE)
OMAR = member(102, "Omar", APPROVE)
LENA = member(103, "Lena", APPROVE)
NOOR = member(104, "Noor", COMPOSE)


class Counting:
    """A transport that takes everything and counts it."""

    def __init__(self) -> None:
        self.sent: Counter[bytes] = Counter()

    async def send(self, request: Request, **_: object) -> Response:
        if request.method == "GET":
            return Response(status=404, headers={}, body="")
        self.sent[request.body] += 1
        await asyncio.sleep(0)
        return Response(status=200, headers={}, body='{"success": true}')


@dataclass(frozen=True, slots=True)
class Two:
    """Two Heralds on one database: two processes on PostgreSQL, one store for both on SQLite."""

    one: Worker
    other: Worker
    transport: Counting
    clock: ManualClock

    async def under_review(self, audience: str) -> Broadcast:
        return await submitted(self.one.service, audience, author=MAYA)

    async def due(self) -> Broadcast:
        broadcast = await approved(self.one.service, "One", author=MAYA, approver=OMAR)
        self.clock.advance(timedelta(seconds=11))
        return await self.now(broadcast)

    async def now(self, broadcast: Broadcast) -> Broadcast:
        with self.one.store.begin(Access.READ) as tx:
            return tx.broadcasts.get(broadcast.id)

    async def is_whole(self) -> bool:
        """Tell whether the record has neither a fork nor a gap, and says each quorum once."""
        with self.one.store.begin(Access.READ) as tx:
            events = tx.audit.of_guild(GUILD)
        quorums = Counter(event.broadcast_id for event in events if event.action == "quorum")
        return first_broken(events) is None and max(quorums.values(), default=1) == 1


@pytest_asyncio.fixture
async def two(database_url: str, tmp_path: Path) -> AsyncIterator[Two]:
    transport, clock = Counting(), ManualClock()
    settings = settings_of(database_url, tmp_path, origin="https://sandbox-api.whop.com")
    async with Store.open(database_url, alone=False) as store, AsyncExitStack() as stack:
        parts = Parts(
            transport=cast("Transport", transport),
            role_source=Members((MAYA, OMAR, LENA, NOOR), away=True),
            clock=clock,
            steady=clock.steady,
            alone=False,
        )
        beside = parts if not database_url.startswith("sqlite") else parts | Parts(store=store)
        one = await stack.enter_async_context(
            Worker.open(settings, parsed(POLICY), **(parts | Parts(store=store)))
        )
        other = await stack.enter_async_context(Worker.open(settings, parsed(POLICY), **beside))
        yield Two(one, other, transport, clock)


async def at_once(*works: Coroutine[Any, Any, Any]) -> list[Any]:
    """Return what each came to; only a refusal may be an error."""
    results: list[Any] = await asyncio.gather(*works, return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException) and not isinstance(result, Refused):
            raise result
    return results


def refusals(results: list[Any]) -> int:
    return sum(isinstance(result, Refused) for result in results)


# --- people ----------------------------------------------------------------------------------------


async def test_of_two_who_approve_at_once_where_one_is_enough_one_is_told(two: Two) -> None:
    for _ in range(TIMES):
        waiting = await two.under_review("One")
        results = await at_once(
            two.one.service.approve(OMAR, waiting.id, revision=1),
            two.other.service.approve(LENA, waiting.id, revision=1),
        )
        after = await two.now(waiting)
        assert refusals(results) == 1
        assert (after.status, len(after.approvals)) == (Status.APPROVED, 1)
    assert await two.is_whole()


async def test_of_two_who_approve_at_once_where_two_are_needed_both_count(two: Two) -> None:
    for _ in range(TIMES):
        waiting = await two.under_review("Two")
        results = await at_once(
            two.one.service.approve(OMAR, waiting.id, revision=1),
            two.other.service.approve(LENA, waiting.id, revision=1),
        )
        after = await two.now(waiting)
        assert refusals(results) == 0
        assert (after.status, len(after.approvals)) == (Status.APPROVED, 2)
    assert await two.is_whole()


async def test_one_who_approves_twice_at_once_counts_once(two: Two) -> None:
    for _ in range(TIMES):
        waiting = await two.under_review("Two")
        results = await at_once(
            two.one.service.approve(OMAR, waiting.id, revision=1),
            two.other.service.approve(OMAR, waiting.id, revision=1),
        )
        after = await two.now(waiting)
        assert refusals(results) == 1
        assert (after.status, len(after.approvals)) == (Status.REVIEW, 1)
    assert await two.is_whole()


async def test_of_two_submitted_at_once_a_template_lends_its_approval_to_one(two: Two) -> None:
    down = (await two.one.service.templates(MAYA))[0]
    await two.one.service.approve_template(OMAR, down.number)
    for number in range(TIMES):
        # Two people: what one of them does at once happens one after the other anyway.
        drafts = [
            await two.one.service.compose_from(
                author, down.number, {"service": f"{name} {number}"}, channel_id=13
            )
            for author, name in ((MAYA, "Chat"), (NOOR, "Shop"))
        ]
        await at_once(
            two.one.service.submit(MAYA, drafts[0].id, revision=1),
            two.other.service.submit(NOOR, drafts[1].id, revision=1),
        )
        stand = [(await two.now(one)).status for one in drafts]
        assert sorted(stand) == [Status.APPROVED, Status.REVIEW]
        two.clock.advance(timedelta(minutes=2))
    assert await two.is_whole()


async def test_of_two_who_give_templates_one_name_one_gets_it_and_of_two_edits_one_counts(two: Two) -> None:
    words = Notification(topic="", all=Text(subject="We are live", content="Come in"))
    for number in range(TIMES):
        typed = Typed(f"Weekly {number}", None, None, words, "")
        results = await at_once(
            two.one.service.create_template(MAYA, typed),
            two.other.service.create_template(NOOR, typed._replace(name=f"weekly {number}")),
        )
        assert refusals(results) == 1
        made = next(one for one in results if not isinstance(one, BaseException)).template
        author = next(one for one in (MAYA, NOOR) if one.id == made.author.id)
        edits = [
            process.service.edit_template(author, made.id, typed, revision=1)
            for process in (two.one, two.other)
        ]
        assert refusals(await at_once(*edits)) == 1
    assert await two.is_whole()


async def test_what_is_lent_while_somebody_stops_another_does_not_go_out_by_that(two: Two) -> None:
    down = (await two.one.service.templates(MAYA))[0]
    for number in range(TIMES):
        await two.one.service.approve_template(OMAR, down.number)
        first, second = [
            await two.one.service.compose_from(
                author, down.number, {"service": f"{name} {number}"}, channel_id=13
            )
            for author, name in ((MAYA, "Chat"), (NOOR, "Shop"))
        ]
        await two.one.service.submit(MAYA, first.id, revision=1)
        # The template may lend again, while what it has lent waits yet.
        two.clock.advance(timedelta(seconds=5))
        await at_once(
            two.one.service.stop(LENA, first.id, revision=1),
            two.other.service.submit(NOOR, second.id, revision=1),
        )
        assert (await two.now(second)).status in {Status.REVIEW, Status.HELD}
        two.clock.advance(timedelta(minutes=2))
    assert await two.is_whole()


async def test_an_approval_and_a_withdrawal_at_once_leave_no_approval_on_a_draft(two: Two) -> None:
    for name in ("One", "Two") * TIMES:
        waiting = await two.under_review(name)
        approved, withdrawn = await at_once(
            two.one.service.approve(OMAR, waiting.id, revision=1),
            two.other.service.withdraw(MAYA, waiting.id, revision=1),
        )
        after = await two.now(waiting)
        assert refusals([approved, withdrawn]) <= 1
        if isinstance(withdrawn, Refused):
            assert (after.status, len(after.approvals)) == (Status.APPROVED, 1)
        else:
            assert (after.status, after.approvals) == (Status.DRAFT, ())
    assert await two.is_whole()


async def test_what_is_edited_while_somebody_approves_is_not_approved(two: Two) -> None:
    async def edit(waiting: Broadcast) -> None:
        await two.other.service.withdraw(MAYA, waiting.id, revision=1)
        notification = Notification(topic="news", all=Text(subject="Other words", content="Come in"))
        await two.other.service.edit(MAYA, waiting.id, revision=1, notification=notification)
        await two.other.service.submit(MAYA, waiting.id, revision=2)

    for _ in range(TIMES):
        waiting = await two.under_review("Two")
        _, edited = await at_once(
            two.one.service.approve(OMAR, waiting.id, revision=1),
            edit(waiting),
        )
        after = await two.now(waiting)
        assert not isinstance(edited, Refused)
        assert (after.status, after.revision, after.approvals) == (Status.REVIEW, 2, ())
    assert await two.is_whole()


async def test_two_edits_at_once_make_one_revision(two: Two) -> None:
    for _ in range(TIMES):
        waiting = await two.under_review("One")
        await two.one.service.withdraw(MAYA, waiting.id, revision=1)
        results = await at_once(
            *(
                worker.service.edit(MAYA, waiting.id, revision=1, notification=waiting.notification)
                for worker in (two.one, two.other)
            )
        )
        assert refusals(results) == 1
        assert (await two.now(waiting)).revision == 2


async def expire(worker: Worker) -> None:
    await worker.dispatcher._expire_reviews()  # pyright: ignore[reportPrivateUsage]


async def test_a_review_that_expires_while_somebody_approves_is_one_of_the_two(two: Two) -> None:
    for _ in range(TIMES):
        waiting = await two.under_review("One")
        two.clock.now += timedelta(hours=25)
        approved, _, _ = await at_once(
            two.one.service.approve(OMAR, waiting.id, revision=1),
            expire(two.other),
            expire(two.one),
        )
        after = await two.now(waiting)
        lost = isinstance(approved, Refused)
        assert after.status is (Status.DRAFT if lost else Status.APPROVED)
        assert len(after.approvals) == (0 if lost else 1)
        if not lost:
            await two.one.service.cancel(MAYA, waiting.id)
    assert await two.is_whole()


# --- sending ---------------------------------------------------------------------------------------


async def test_a_stop_and_a_start_at_once_end_in_one_of_the_two(two: Two) -> None:
    for _ in range(TIMES):
        due = await two.due()
        before = two.transport.sent.total()
        stopped, _ = await at_once(
            two.one.service.stop(LENA, due.id, revision=1), two.other.dispatcher.tick()
        )
        await two.one.dispatcher.tick()
        sent = two.transport.sent.total() - before
        after = await two.now(due)
        assert (sent, after.status) == (
            (1, Status.SENT) if isinstance(stopped, Refused) else (0, Status.DRAFT)
        )
    assert await two.is_whole()


async def test_two_dispatchers_send_each_delivery_once(two: Two) -> None:
    waiting = [await two.under_review("One") for _ in range(6)]
    for broadcast in waiting:
        await two.one.service.approve(OMAR, broadcast.id, revision=1)
    two.clock.now += timedelta(seconds=11)
    for _ in range(6):
        await at_once(two.one.dispatcher.tick(), two.other.dispatcher.tick())
    assert two.transport.sent.total() == 6
    assert {(await two.now(one)).status for one in waiting} == {Status.SENT}
    assert await two.is_whole()


async def test_two_requests_of_one_broadcast_that_end_at_once_conclude_it(two: Two) -> None:
    for _ in range(TIMES):
        broadcast = await two.under_review("Two")
        await two.one.service.approve(OMAR, broadcast.id, revision=1)
        await two.one.service.approve(LENA, broadcast.id, revision=1)
        two.clock.now += timedelta(seconds=11)
        await two.one.dispatcher.tick()
        await two.one.dispatcher.tick()
        assert (await two.now(broadcast)).status is Status.SENT


async def test_two_who_claim_at_once_get_different_deliveries(two: Two) -> None:
    broadcast = await two.under_review("One")
    requests = [
        Request(method="POST", url="https://whop.invalid", headers={}, body=str(number).encode())
        for number in range(8)
    ]
    with two.one.store.begin() as tx:
        tx.deliveries.add(broadcast, requests, account=ACCOUNT, at=two.clock())

    async def claim(store: Store) -> list[Delivery]:
        with store.begin() as tx:
            tx.claim_alone()
            due = may_go(tx, two.clock())[:4]
            return tx.deliveries.claim(due, owner="me", at=two.clock())

    claims: list[Delivery] = []
    for _ in range(3):
        for taken in await at_once(claim(two.one.store), claim(two.other.store)):
            claims += taken
    assert sorted(one.position for one in claims) == list(range(1, 9))
    assert {one.attempts for one in claims} == {1}


async def test_what_another_transaction_changes_is_left_out_and_not_waited_for(postgres_url: str) -> None:
    async with Store.open(postgres_url, alone=False) as one, Store.open(postgres_url, alone=False) as other:
        with one.begin() as tx:
            notification = Notification(topic="news", all=Text(subject="A", content="B"))
            broadcast = tx.broadcasts.add(
                guild_id=GUILD,
                author=Person(101, "Maya"),
                audience="One",
                notification=notification,
                fingerprint="a" * 64,
                origin_channel_id=1,
                at=NOW,
            )
            request = Request(method="POST", url="https://whop.invalid", headers={}, body=b"")
            tx.deliveries.add(broadcast, [request], account=ACCOUNT, at=NOW)
        with one.begin() as first, other.begin() as second:
            assert first.broadcasts.heads([broadcast.id], waiting=False)
            assert second.broadcasts.heads([broadcast.id], waiting=False) == {}
            with other.begin(Access.READ) as reading:
                assert reading.broadcasts.heads([broadcast.id], waiting=False)


# --- the record ------------------------------------------------------------------------------------


async def test_lines_that_are_written_at_once_make_one_chain_without_a_gap(two: Two) -> None:
    async def append(worker: Worker, number: int) -> None:
        with worker.store.begin() as tx:
            entry = NewEvent(
                guild_id=GUILD, at=two.clock(), actor=HERALD, action="composed", detail=str(number)
            )
            tx.audit.append(entry)

    await asyncio.gather(*(append((two.one, two.other)[number % 2], number) for number in range(30)))
    with two.one.store.begin(Access.READ) as tx:
        events = tx.audit.of_guild(GUILD)
    assert [event.sequence for event in events] == list(range(1, 31))
    assert {event.detail for event in events} == {str(number) for number in range(30)}
    assert first_broken(events) is None


async def test_the_records_of_two_servers_do_not_wait_for_each_other(postgres_url: str) -> None:
    async with Store.open(postgres_url) as store:
        with store.begin() as one, store.begin() as other:
            for guild, tx in ((1, one), (2, other)):
                # One that waited would be refused after the server's own time-out.
                tx.audit.append(NewEvent(guild_id=guild, at=NOW, actor=HERALD, action="composed"))


async def test_refusals_at_once_are_each_in_the_record(two: Two) -> None:
    waiting = await two.under_review("One")
    works = [worker.service.approve(MAYA, waiting.id, revision=1) for worker in (two.one, two.other) * 4]
    assert refusals(await at_once(*works)) == 8
    with two.one.store.begin(Access.READ) as tx:
        events = tx.audit.of_guild(GUILD)
    assert sum(event.action == "refused approve" for event in events) == 8
    assert await two.is_whole()


async def test_a_value_that_two_remember_at_once_is_one_of_the_two(two: Two) -> None:
    async def remember(store: Store, value: str) -> None:
        with store.begin() as tx:
            tx.facts.set(NAME, value)

    await at_once(remember(two.one.store, "one"), remember(two.other.store, "other"))
    with two.one.store.begin(Access.READ) as tx:
        assert tx.facts.get(NAME) in {"one", "other"}
