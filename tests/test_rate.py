"""The rate: never above what Whop takes, nearly all of it used, and nothing forgotten by a restart."""

from collections import Counter
from collections.abc import AsyncGenerator
from datetime import timedelta
from typing import Final

import pytest

from bot.clock import Watch
from bot.delivery import (
    Accepted,
    DeliveryStatus,
    NoAnswer,
    Outcome,
    Rejected,
    Request,
    Response,
    RetryAt,
    Trouble,
    Unknown,
)
from bot.key_trust import Verdict, keep
from bot.notification import Notification, Text
from bot.policy.model import ACCOUNT
from bot.sandbox.sandbox import UNDONE, Sandbox
from bot.sandbox.whop import Fault
from bot.sending.claiming import WIDTH
from bot.sending.rate import RateLimit
from bot.store import Store, Transaction
from bot.store.facts import not_before
from bot.value import Person
from bot.whop.gateway import Rate
from tests.conftest import OpenSandbox
from tests.harness.clock import NOW, ManualClock

NARROW: Final = 4


async def approve_many(sandbox: Sandbox, count: int) -> None:
    service, maya, omar = sandbox.herald.service, sandbox.actor("Maya"), sandbox.actor("Omar")
    for number in range(1, count + 1):
        text = Text(subject=f"Number {number}", content="Words.")
        notification = Notification(topic="announcements", all=text)
        await service.compose(maya, audience="Gold members", notification=notification, channel_id=1)
        await service.submit(maya, number, revision=1)
        await service.approve(omar, number, revision=1)


async def send_for(sandbox: Sandbox, seconds: float) -> None:
    """Let the dispatcher work as fast as it may, in steps of a quarter of a second."""
    for _ in range(round(seconds * 4)):
        while await sandbox.herald.dispatcher.tick():
            pass
        await sandbox.world.env.advance_time(0.25)


async def test_v5_is_never_asked_more_than_it_takes_and_nearly_all_of_it_is_used(v5: Sandbox) -> None:
    await approve_many(v5, 50)
    await v5.herald.dispatcher.tick()
    # How many people it is was read then, which Whop counts, too.
    await v5.world.env.advance_time(1)
    await v5.world.env.advance_time(UNDONE.total_seconds())
    await send_for(v5, 20.5)

    # Whop allows 20 in 10 s, so that not one more could have gone out in two such spans.
    assert Counter(exchange.status for exchange in v5.whop.exchanges) == {201: 40}


async def test_a_restart_does_not_let_more_through(v5: Sandbox) -> None:
    await approve_many(v5, 30)
    await v5.herald.dispatcher.tick()
    await v5.world.env.advance_time(UNDONE.total_seconds())
    await send_for(v5, 1)
    await v5.restart()
    await send_for(v5, 8)
    assert Counter(exchange.status for exchange in v5.whop.exchanges) == {201: 20}


@pytest.mark.parametrize("due", [WIDTH, WIDTH + 1])
async def test_so_many_requests_go_out_side_by_side_and_what_is_due_beside_them_right_after(
    open_sandbox: OpenSandbox, due: int
) -> None:
    def many(policy: str) -> str:
        ids = ", ".join(f'"exp_{number}"' for number in range(due))
        return policy.replace('experiences = ["exp_gold"] }', f"experiences = [{ids}] }}")

    async with open_sandbox("v1", edit_policy=many) as sandbox:
        await approve_many(sandbox, 1)
        await sandbox.world.env.advance_time(UNDONE.total_seconds())
        await sandbox.herald.dispatcher.tick()
        assert len(sandbox.whop.pushes) == WIDTH
        await sandbox.herald.dispatcher.tick()
        assert len(sandbox.whop.pushes) == due


@pytest.fixture
def narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let fewer go out at once than are due."""
    monkeypatch.setattr("bot.sending.claiming.WIDTH", NARROW)


@pytest.mark.usefixtures("narrow")
async def test_after_a_429_all_wait_and_then_one_asks_whether_it_is_over(sandbox: Sandbox) -> None:
    await approve_many(sandbox, 6)
    await sandbox.world.env.advance_time(UNDONE.total_seconds())
    sandbox.whop.fault = Fault.RATE_LIMITED
    await sandbox.herald.dispatcher.tick()
    assert len(sandbox.whop.exchanges) == NARROW
    await send_for(sandbox, 1)
    assert len(sandbox.whop.exchanges) == NARROW

    await sandbox.world.env.advance_time(61)
    await sandbox.herald.dispatcher.tick()
    assert len(sandbox.whop.exchanges) == NARROW + 1

    sandbox.whop.fault = Fault.NONE
    await sandbox.world.env.advance_time(61)
    await sandbox.herald.dispatcher.tick()
    assert len(sandbox.whop.exchanges) == NARROW + 2
    await send_for(sandbox, 1)
    assert len(sandbox.whop.pushes) == 6


@pytest.mark.usefixtures("narrow")
async def test_an_error_of_whops_makes_the_next_ones_wait_though_others_were_accepted(
    sandbox: Sandbox,
) -> None:
    await approve_many(sandbox, 6)
    await sandbox.world.env.advance_time(UNDONE.total_seconds())
    sandbox.whop.fail_next(Fault.SERVER_ERROR)
    await send_for(sandbox, 1)
    assert len(sandbox.whop.exchanges) == NARROW
    await send_for(sandbox, 12)
    assert len(sandbox.whop.pushes) == 5


async def test_one_that_fails_again_and_again_does_not_keep_the_others_from_being_tried(v1: Sandbox) -> None:
    account = v1.herald.service.lifecycle.accounts[ACCOUNT]
    with v1.herald.store.begin() as tx:
        keep(tx, account, Verdict(honoured=True, words=""), at=v1.clock())
    await approve_many(v1, 2)
    await v1.world.env.advance_time(UNDONE.total_seconds())
    v1.whop.fault = Fault.SERVER_ERROR
    for _ in range(8):
        await v1.herald.dispatcher.tick()
        await v1.world.env.advance_time(121)
    tried = Counter(exchange.body for exchange in v1.whop.exchanges)
    assert min(tried.values()) >= 3, "each in turn, whichever is asked to see whether it is over"


# --- what the limiter heeds ------------------------------------------------------------------------

A_BIT: Final = timedelta(microseconds=1)
PER: Final = timedelta(seconds=10)
PAUSE: Final = timedelta(seconds=10)
ROOM: Final = 3


class Limited:
    """A limiter on a database of its own, and what it raised the alarm for."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.clock = ManualClock()
        self.alarms: list[str] = []
        self.limit = RateLimit(
            ACCOUNT,
            Rate(ROOM, PER),
            clock=self.clock,
            steady=self.clock.steady,
            watch=Watch(self.clock, self.clock.steady),
            alarm=lambda _, reason: self.alarms.append(reason),
        )

    async def heed(self, outcome: Outcome, answer: Response | NoAnswer | int | None = None) -> None:
        """Let one send end so."""
        if isinstance(answer, int):
            answer = Response(status=answer, headers={}, body="")
        await self.store.write(self.limit.heed, outcome, answer)

    async def room(self) -> int:
        return await self.store.read(self.limit.room)

    async def pause(self) -> timedelta | None:
        """Return for how long nothing may be sent."""
        over = await self.store.read(lambda tx: tx.facts.get(not_before(ACCOUNT)))
        return over - self.clock() if over else None

    async def start(self, count: int = 1, *, finished: bool = False) -> None:
        """Write down attempts that start now, of which the answer is there at once, or not yet."""
        await self.store.write(self._start, count, finished=finished)

    def _start(self, tx: Transaction, count: int, *, finished: bool) -> None:
        draft = tx.broadcasts.add(
            guild_id=1,
            author=Person(1, "Maya"),
            audience="Gold",
            notification=Notification(topic="news", all=Text(subject="a", content="b")),
            fingerprint="a" * 64,
            origin_channel_id=5,
            at=self.clock(),
        )
        request = Request(method="POST", url="", headers={}, body=b"")
        tx.deliveries.add(draft, [request] * count, account=ACCOUNT, at=self.clock())
        claimed = tx.deliveries.claim(tx.deliveries.of(draft.id), owner="me", at=self.clock())
        self.limit.begin(tx, len(claimed))
        for claim in claimed:
            if finished:
                tx.deliveries.settle(claim, status=DeliveryStatus.ACCEPTED, detail="", at=self.clock())


@pytest.fixture
async def limited(sqlite_url: str) -> AsyncGenerator[Limited, None]:
    async with Store.open(sqlite_url) as store:
        yield Limited(store)


async def test_a_refused_key_is_an_alarm_and_no_other_refusal_is(limited: Limited) -> None:
    for status in (400, 402, 403, 404, 408, 409, 422, 201):
        await limited.heed(Rejected("no"), status)
    assert limited.alarms == []
    for status in (401, 403):
        await limited.heed(Rejected("no", Trouble.CREDENTIAL), status)
        await limited.heed(Unknown("no, but", Trouble.CREDENTIAL), status)
    assert limited.alarms == [
        f"Whop refuses the API key (it answered {status})" for status in (401, 401, 403, 403)
    ]


async def test_a_fault_of_our_own_is_an_alarm_and_a_plain_silence_is_not(limited: Limited) -> None:
    await limited.heed(Unknown("silence"))
    assert limited.alarms == []
    await limited.heed(Unknown("another request", Trouble.OURS))
    assert limited.alarms == ["Herald is at fault: another request"]


async def test_unknown_answers_in_a_row_are_an_alarm_once_and_a_known_one_begins_anew(
    limited: Limited,
) -> None:
    for known in (Accepted(), Rejected("no")):
        for _ in range(2):
            await limited.heed(Unknown("silence"))
        await limited.heed(known)
    assert limited.alarms == []
    for _ in range(4):
        await limited.heed(Unknown("silence"))
        await limited.heed(RetryAt(NOW, "what is tried again is not known yet"))
    assert limited.alarms == ["3 sends in a row got no known answer from Whop"]


@pytest.mark.parametrize(
    "trouble", [Unknown("a page", Trouble.NOT_WHOP), RetryAt(NOW, "a page", Trouble.NOT_WHOP)]
)
async def test_what_answers_in_whops_place_pauses_and_the_third_in_a_row_freezes_and_says_so(
    limited: Limited, trouble: Outcome
) -> None:
    for known in (Accepted(), Rejected("no")):
        for _ in range(2):
            await limited.heed(trouble, 403)
            assert await limited.pause() is not None
        await limited.heed(known, 200)
    assert limited.alarms == []
    for _ in range(4):
        await limited.heed(trouble, 403)
    assert limited.alarms == [
        "3 sends in a row got no known answer from Whop:"
        " what answered is a web page and not Whop (a firewall or a proxy)"
    ]


async def test_whatever_one_crash_left_is_one_event(limited: Limited) -> None:
    for crashed in ("a-1", "a-2"):
        for _ in range(5):
            await limited.heed(Unknown("Herald stopped", cause=crashed))
    assert limited.alarms == []
    await limited.heed(Unknown("silence"))
    assert limited.alarms == ["3 sends in a row got no known answer from Whop"]


async def test_what_comes_between_begins_anew_and_has_no_cause(limited: Limited) -> None:
    for outcome in (Unknown("stopped", cause="a"), Accepted(), Unknown("stopped", cause="a"), Unknown("?")):
        await limited.heed(outcome)
    assert limited.alarms == []
    await limited.heed(Unknown("?"))
    assert len(limited.alarms) == 1


@pytest.mark.parametrize(
    ("trouble", "paused"),
    [(None, False), (Trouble.CREDENTIAL, False), (Trouble.OVERLOAD, True), (Trouble.NOT_WHOP, True)],
)
async def test_whop_pauses_us_when_it_is_overloaded_and_not_otherwise(
    limited: Limited, trouble: Trouble | None, paused: bool
) -> None:
    await limited.heed(Unknown("x", trouble), 503)
    assert await limited.pause() == (PAUSE if paused else None)
    await limited.heed(RetryAt(NOW + timedelta(minutes=1), "x", trouble), 503)
    assert await limited.pause() == (timedelta(minutes=1) if paused else None)


async def test_a_pause_ends_at_its_very_moment_for_one_and_for_all_once_that_was_answered(
    limited: Limited,
) -> None:
    await limited.heed(Unknown("x", Trouble.OVERLOAD), 500)
    limited.clock.advance(PAUSE - A_BIT)
    await limited.heed(Accepted(), 201)
    assert await limited.room() == 0
    limited.clock.advance(A_BIT)
    assert await limited.room() == 1
    await limited.start()
    assert await limited.room() == 0
    await limited.heed(Unknown("silence"), NoAnswer(reason="silence", bytes_left=True))
    assert await limited.pause() is not None
    await limited.heed(Accepted(), 201)
    assert await limited.room() == ROOM - 1


async def test_no_other_answer_shortens_the_pause_that_whop_asked_for(limited: Limited) -> None:
    await limited.heed(RetryAt(NOW + timedelta(minutes=3), "x", Trouble.OVERLOAD), 429)
    await limited.heed(Unknown("x", Trouble.OVERLOAD), 503)
    assert await limited.pause() == timedelta(minutes=3)


async def test_a_pause_that_a_wrong_clock_wrote_gives_way_to_the_next(limited: Limited) -> None:
    await limited.heed(RetryAt(NOW + timedelta(days=3), "x", Trouble.OVERLOAD), 429)
    await limited.heed(Unknown("x", Trouble.OVERLOAD), 503)
    assert await limited.pause() == PAUSE


async def test_what_was_under_way_when_a_pause_began_does_not_keep_the_one_that_asks(
    limited: Limited,
) -> None:
    await limited.start()
    await limited.heed(Unknown("x", Trouble.OVERLOAD), 500)
    limited.clock.advance(PAUSE)
    assert await limited.room() == 1


async def test_the_one_that_asks_keeps_to_the_rate_too(limited: Limited) -> None:
    await limited.start(ROOM)
    await limited.heed(Unknown("x", Trouble.OVERLOAD), 500)
    limited.clock.advance(PAUSE)
    assert await limited.room() == 0


async def test_room_comes_back_when_the_span_is_over_and_for_what_is_under_way_not_before_its_end(
    limited: Limited,
) -> None:
    await limited.start(2, finished=True)
    assert await limited.room() == 1
    limited.clock.advance(PER - A_BIT)
    assert await limited.room() == 1
    limited.clock.advance(A_BIT)
    assert await limited.room() == ROOM
    await limited.start(1)
    limited.clock.advance(10 * PER)
    assert await limited.room() == ROOM - 1
