"""Outcomes: what may be tried again and what is given up, and each limit to its very moment."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import pytest
from typing_extensions import override

from bot.broadcast import Broadcast, Status
from bot.clock import Watch
from bot.delivery import (
    Accepted,
    Attempt,
    Delivery,
    DeliveryStatus,
    NoAnswer,
    Outcome,
    Rejected,
    Request,
    Response,
    RetryAt,
    Unknown,
)
from bot.key_trust import KeyTrust
from bot.policy.model import ACCOUNT
from bot.sending.settle import Done, Settlement
from bot.whop.gateway import LONGEST_RETRY
from tests.harness.clock import NOW
from tests.harness.outbox import cards_to_draw
from tests.harness.process import UNDONE, Cluster, Process
from tests.harness.wire import Wire

SECOND: Final = timedelta(seconds=1)
GRACE: Final = timedelta(minutes=15)
LATE: Final = NOW - GRACE - SECOND
IN_DOUBT: Final = (Attempt(started_at=NOW),)
SAFE: Final = (Attempt(started_at=NOW, finished_at=NOW, bytes_left=False),)
TRUST: Final = KeyTrust(at=NOW)


@pytest.fixture
async def cluster(tmp_path: Path, sqlite_url: str) -> AsyncGenerator[Cluster, None]:
    async with Cluster.open(sqlite_url, tmp_path) as opened:
        yield opened


def settlement_of(process: Process) -> Settlement:
    clock = process.clock
    return Settlement(
        lifecycle=process.service.lifecycle,
        clock=clock,
        steady=clock.steady,
        watch=Watch(clock, clock.steady),
    )


def tried(past: Sequence[Attempt], detail: str = "") -> Delivery:
    return Delivery(
        id=1,
        broadcast_id=1,
        position=0,
        account=ACCOUNT,
        request=Request(method="POST", url="", headers={}, body=b""),
        status=DeliveryStatus.PENDING,
        attempts=len(past),
        detail=detail,
        past=tuple(past),
    )


# --- what is given up ------------------------------------------------------------------------------

NOT_SENT: Final = Rejected("it was not sent in time")
NO_ANSWER: Final = Unknown("no final answer came in time")
NO_KEY: Final = Unknown("its idempotency key no longer makes a repeat safe")
GIVEN_UP: Final[Mapping[str, tuple[Delivery, dict[str, Any], KeyTrust | None, Outcome | None]]] = {
    "never tried": (tried(()), {}, None, None),
    "never tried, just in time": (tried(()), {"due_at": NOW - GRACE}, None, None),
    "never tried, too late": (tried(()), {"due_at": LATE}, None, NOT_SENT),
    "never tried, due at no time": (tried(()), {"due_at": None}, None, None),
    "too late, though its key is good": (tried(SAFE), {"due_at": LATE}, TRUST, NOT_SENT),
    "never left, in time": (tried(SAFE), {}, None, None),
    "never left, and why": (
        tried(SAFE, "no network"),
        {"due_at": LATE},
        None,
        Rejected("it was not sent in time (no network)"),
    ),
    "never tried, of a server that the policy lost": (tried(()), {"guild_id": 5}, None, NOT_SENT),
    "in doubt, without a proven key": (tried(IN_DOUBT), {}, None, NO_KEY),
    "in doubt, with a key proven later": (tried(IN_DOUBT), {}, KeyTrust(at=NOW + SECOND), NO_KEY),
    "in doubt, with a proven key": (tried(IN_DOUBT), {}, TRUST, None),
    "in doubt, with a proven key, just in time": (tried(IN_DOUBT), {"due_at": NOW - GRACE}, TRUST, None),
    "in doubt, with a proven key, too late": (tried(IN_DOUBT), {"due_at": LATE}, TRUST, NO_ANSWER),
    "in doubt, of a server that the policy lost": (tried(IN_DOUBT), {"guild_id": 5}, TRUST, NO_ANSWER),
    "asked about again by a person, however late": (
        tried(IN_DOUBT),
        {"due_at": LATE, "status": Status.UNKNOWN},
        TRUST,
        None,
    ),
    "asked about again, without a proven key": (
        tried(IN_DOUBT),
        {"due_at": LATE, "status": Status.UNKNOWN},
        None,
        NO_KEY,
    ),
    "asked about again, of a server that the policy lost": (
        tried(IN_DOUBT),
        {"guild_id": 5, "status": Status.UNKNOWN},
        TRUST,
        NO_ANSWER,
    ),
}


@pytest.mark.parametrize("case", GIVEN_UP)
async def test_what_must_not_be_tried_again_is_given_up_and_nothing_else(cluster: Cluster, case: str) -> None:
    delivery, changes, trust, expected = GIVEN_UP[case]
    process = await cluster.join()
    broadcast = await process.approved()
    sending: dict[str, Any] = {"status": Status.SENDING, "due_at": NOW} | changes
    found = settlement_of(process).given_up(delivery, broadcast.model_copy(update=sending), trust)
    assert found == expected


@pytest.mark.parametrize(
    ("past", "changes", "proven", "expected"),
    [
        (IN_DOUBT, {}, True, RetryAt(NOW, "Herald stopped before an answer came")),
        (IN_DOUBT, {"due_at": NOW - GRACE}, True, RetryAt(NOW, "Herald stopped before an answer came")),
        (IN_DOUBT, {"due_at": LATE}, True, Unknown("Herald stopped before an answer came")),
        (IN_DOUBT, {"guild_id": 5}, True, Unknown("Herald stopped before an answer came")),
        (IN_DOUBT, {}, False, Unknown("Herald stopped before an answer came")),
        (SAFE, {}, False, Unknown("Herald stopped before an answer came")),
    ],
    ids=["proven", "just-in-time", "too-late", "server-lost", "not-proven", "claimed-anew"],
)
async def test_what_a_stopped_process_left_is_repeated_only_where_that_is_safe_and_in_time(
    cluster: Cluster,
    past: Sequence[Attempt],
    changes: dict[str, Any],
    proven: bool,
    expected: Outcome,
) -> None:
    process = await cluster.join()
    broadcast = await process.approved()
    sending = broadcast.model_copy(update={"status": Status.SENDING, "due_at": NOW} | changes)
    found = settlement_of(process)._orphaned(  # pyright: ignore[reportPrivateUsage]
        tried(past), sending, TRUST if proven else None
    )
    assert found == expected


# --- when it is tried again ------------------------------------------------------------------------


class Offline(Wire):
    """A network that nothing leaves; whoever asks for a size is told that nobody knows it."""

    def __init__(self) -> None:
        super().__init__()
        self.tries = 0

    @override
    async def send(self, request: Request, **_: Any) -> Response | NoAnswer:
        if request.method == "GET":
            return Response(status=404, headers={}, body="")
        self.tries += 1
        return NoAnswer(reason="no network", bytes_left=False)


async def offline(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> tuple[Process, Offline]:
    """Start a process, with something due, whose requests do not leave the machine."""
    process, wire = await cluster.join(), Offline()
    monkeypatch.setattr(process.wire, "send", wire.send)
    await process.due()
    return process, wire


async def test_what_could_not_be_sent_is_tried_at_its_time_and_not_in_every_round(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.whop.gateway.random.uniform", max)
    process, wire = await offline(cluster, monkeypatch)
    for _ in range(3):
        await process.tick()
    await process.tick(4 * SECOND - timedelta(microseconds=1))
    assert wire.tries == 1
    await process.tick(timedelta(microseconds=1))
    await process.tick()
    assert wire.tries == 2
    await process.tick(8 * SECOND - timedelta(microseconds=1))
    assert wire.tries == 2
    await process.tick(timedelta(microseconds=1))
    assert wire.tries == 3


async def test_what_could_not_be_sent_in_time_is_given_up_a_second_later(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    process, wire = await offline(cluster, monkeypatch)
    due_at = (await process.get()).due_at
    assert due_at is not None
    while cluster.clock() < due_at + GRACE - LONGEST_RETRY:
        await process.tick(LONGEST_RETRY)
    cluster.clock.advance(due_at + GRACE - cluster.clock())
    await process.tick()
    tries = wire.tries
    assert await process.status() is Status.SENDING
    await process.tick(SECOND)
    assert (await process.status(), wire.tries) == (Status.FAILED, tries)
    assert (await process.get()).reason == ("it was not sent in time (Whop could not be reached: no network)")


# --- what is written -------------------------------------------------------------------------------


async def claimed(cluster: Cluster, audience: str = "One") -> tuple[Process, Settlement, list[Delivery]]:
    """Return a process of whose broadcast all deliveries are claimed."""
    process = await cluster.join()
    broadcast = await process.approved(audience)
    cluster.clock.advance(UNDONE)
    with process.store.begin() as tx:
        gateway = process.service.lifecycle.accounts[ACCOUNT].gateway
        server = process.service.lifecycle.server_of(broadcast)
        named = server.audience(audience)
        assert named is not None
        requests = gateway.build(broadcast.notification, named.targets, new_key=lambda: "key")
        tx.deliveries.add(broadcast, requests, account=ACCOUNT, at=cluster.clock())
        tx.broadcasts.change(broadcast, status=Status.SENDING, at=cluster.clock())
        claims = tx.deliveries.claim(tx.deliveries.of(1), owner="me", at=cluster.clock())
    return process, settlement_of(process), claims


@pytest.mark.parametrize(
    ("outcomes", "status", "reason"),
    [
        ((Accepted(), Accepted()), Status.SENT, ""),
        ((Accepted(), Rejected("no")), Status.PARTIAL, "no"),
        ((Rejected("no"), Rejected("never")), Status.FAILED, "no; never"),
        ((Rejected("no"), Rejected("no")), Status.FAILED, "no"),
        ((Unknown("silence"), Accepted()), Status.UNKNOWN, "silence"),
        ((Unknown("silence"), Rejected("no")), Status.UNKNOWN, "silence; no"),
        ((Accepted(), RetryAt(NOW, "busy")), Status.SENDING, ""),
    ],
    ids=["accepted", "partly", "refused", "refused-alike", "unknown", "unknown-and-refused", "retry"],
)
async def test_a_broadcast_ends_as_its_deliveries_do_and_only_when_all_have_ended(
    cluster: Cluster, outcomes: tuple[Outcome, Outcome], status: Status, reason: str
) -> None:
    process, settlement, claims = await claimed(cluster, "Two")
    for claim, outcome in zip(claims, outcomes, strict=True):
        assert await process.status() is Status.SENDING
        assert await process.store.write(settlement.settle, [Done(claim, outcome)]) == []
    after: Broadcast = await process.get()
    assert after.status is status
    assert after.reason == reason


async def test_an_outcome_is_written_once_and_the_second_is_told_so(cluster: Cluster) -> None:
    process, settlement, (claim,) = await claimed(cluster)
    first, second = Done(claim, Accepted()), Done(claim, Rejected("no"))
    assert await process.store.write(settlement.settle, [first]) == []
    assert await process.store.write(settlement.settle, [second]) == [second]
    assert await process.status() is Status.SENT


async def test_what_will_be_tried_again_stands_in_the_record_and_on_the_card(cluster: Cluster) -> None:
    process, settlement, (claim,) = await claimed(cluster)
    wanted = await shown(process)
    await process.store.write(settlement.settle, [Done(claim, RetryAt(cluster.clock(), "busy"))])
    assert await process.lines("will try again") == ["busy"]
    assert await shown(process) > wanted


async def test_each_outcome_of_several_is_shown_on_the_card(cluster: Cluster) -> None:
    process, settlement, claims = await claimed(cluster, "Two")
    wanted = await shown(process)
    await process.store.write(settlement.settle, [Done(claims[0], Accepted())])
    assert await shown(process) > wanted


async def shown(process: Process) -> int:
    """Return how many changes the card is to show."""
    (card,) = await process.store.read(lambda tx: cards_to_draw(tx, process.clock() + timedelta(days=1)))
    return card.wanted


@pytest.mark.parametrize("outcome", [Unknown("silence"), RetryAt(NOW, "busy")], ids=["unknown", "retry"])
async def test_late_news_that_decides_nothing_changes_nothing(cluster: Cluster, outcome: Outcome) -> None:
    process, settlement, (claim,) = await claimed(cluster)
    await process.store.write(settlement.settle, [Done(claim, Unknown("Herald stopped"))])
    before = await process.deliveries(), await process.record()
    silence = NoAnswer(reason="silence", bytes_left=True)
    await process.store.write(settlement.record, [Done(claim, outcome, silence)])
    assert (await process.deliveries(), await process.record()) == before


async def test_of_an_account_that_is_not_there_nothing_is_trusted(cluster: Cluster) -> None:
    process = await cluster.join()
    await process.prove()
    settlement = settlement_of(process)
    assert await process.store.read(settlement.trust, ACCOUNT) == TRUST
    assert await process.store.read(settlement.trust, "gone") is None
