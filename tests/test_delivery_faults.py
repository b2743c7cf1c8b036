"""Each fault on the way to Whop has its documented end: at most one push, and nothing forgotten."""

import asyncio
import socket
from collections import deque
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Protocol

import pytest
from pydantic import SecretStr

from bot.app import Worker
from bot.broadcast import Broadcast, Status
from bot.delivery import NoAnswer, Request, Response
from bot.key_trust import Verdict, keep
from bot.policy.model import ACCOUNT, Policy
from bot.sending.dispatcher import Dispatcher
from bot.service import Service
from bot.settings import Settings
from bot.store import Access, Store
from bot.whop.transport import Transport
from tests.database import new_file
from tests.harness.clock import NOW, ManualClock
from tests.harness.found import only
from tests.harness.people import MAYA, Members, approved, member
from tests.harness.policy import APPROVE, GUILD, ONE, parsed, rules, server
from tests.harness.process import settings_of
from tests.harness.wire import KEY

OMAR = member(2, "Omar", APPROVE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """What goes wrong with one attempt, and whether Whop had done its work by then."""

    name: str
    raw: bytes | None = None
    acts: bool = False
    silent: bool = False
    refused: bool = False
    nowhere: bool = False


def http(status: int, body: str = "", *headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status} X", f"Content-Length: {len(body)}", "Connection: close", *headers, "", body]
    return "\r\n".join(lines).encode()


def error(status: int, kind: str, message: str = "No") -> bytes:
    return http(status, f'{{"error": {{"type": "{kind}", "message": "{message}"}}}}')


def answers(status: int, *, acts: bool = False) -> Fault:
    return Fault(name=f"{status}{' after accept' if acts else ''}", raw=http(status), acts=acts)


class Whop:
    """Count what customers get; go wrong as the script says, then honour keys as v1 documents."""

    def __init__(self) -> None:
        self.script: deque[Fault] = deque()
        self.always: Fault | None = None
        self.fault: Fault | None = None
        self.pushes = 0
        self.wire: list[tuple[bytes, bytes]] = []
        self.attempts = 0
        self.port = 0
        self.held = asyncio.Event()
        self._released = asyncio.Event()
        self._known: set[bytes] = set()
        self._serving: set[asyncio.Task[None]] = set()

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @asynccontextmanager
    async def open(self) -> AsyncGenerator[None, None]:
        server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield
        finally:
            self._released.set()
            server.close()
            await asyncio.gather(*self._serving)

    def take_fault(self) -> Fault | None:
        self.attempts += 1
        self.fault = self.script.popleft() if self.script else self.always
        return self.fault

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._serve(reader, writer))
        self._serving.add(task)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        fields = {
            name.strip().lower(): value.strip()
            for name, _, value in (line.partition(b":") for line in head.split(b"\r\n")[1:])
        }
        body = await reader.readexactly(int(fields[b"content-length"]))
        same = fields[b"idempotency-key"] + fields[b"api-version-date"]
        self.wire.append((same, body))
        fault = self.fault
        replayed = same in self._known
        if (fault is None or fault.acts) and not replayed:
            self.pushes += 1
            self._known.add(same)
        if fault is not None and fault.silent:
            self.held.set()
            await self._released.wait()
        elif fault is None:
            mark = ["Idempotent-Replayed: true"] if replayed else []
            writer.write(http(202, '{"success":true}', *mark))
        elif fault.raw is not None:
            writer.write(fault.raw)
        writer.close()


class Wire(Transport):
    """The real transport, on which a connection can also fail before it is one."""

    def __init__(self, whop: Whop, hasty: Transport) -> None:
        super().__init__(api_key=KEY)
        self._whop = whop
        self._hasty = hasty
        self.patient = False

    async def send(
        self, request: Request, *, may_leave: Callable[[], bool] = lambda: True
    ) -> Response | NoAnswer:
        if request.method == "GET":
            # Who is in an audience goes wrong elsewhere: here Whop does not tell.
            return Response(status=404, headers={}, body="")
        assert may_leave()
        fault = self._whop.take_fault()
        if fault is not None and fault.nowhere:
            return NoAnswer(reason="its name could not be resolved", bytes_left=False)
        if fault is not None and fault.refused:
            with socket.socket() as closed:
                closed.bind(("127.0.0.1", 0))
                elsewhere = f"http://127.0.0.1:{closed.getsockname()[1]}/"
                return await super().send(replace(request, url=elsewhere))
        if fault is not None and fault.silent and not self.patient:
            return await self._hasty.send(request)
        return await super().send(request)


@dataclass(slots=True, kw_only=True)
class Trial:
    """A Herald without Discord, on a database of its own, and a clock that moves only when told."""

    whop: Whop
    wire: Wire
    store: Store
    settings: Settings
    policy: Policy
    clock: ManualClock
    processes: AsyncExitStack
    service: Service = field(init=False)
    dispatcher: Dispatcher = field(init=False)

    async def start(self) -> None:
        """Take the place of whatever process was there."""
        process = await self.processes.enter_async_context(
            Worker.open(
                self.settings,
                self.policy,
                store=self.store,
                transport=self.wire,
                role_source=Members((MAYA, OMAR), away=True),
                clock=self.clock,
                steady=self.clock.steady,
            )
        )
        self.service, self.dispatcher = process.service, process.dispatcher

    async def restart(self) -> None:
        await self.start()
        await self.dispatcher.sweep()

    async def prove(self, *, honoured: bool = True) -> None:
        account = self.service.lifecycle.accounts[ACCOUNT]
        await self.store.write(keep, account, Verdict(honoured=honoured, words=""), at=self.clock())

    async def approve(self) -> None:
        """Bring a broadcast to the moment in which it is due."""
        await approved(self.service, author=MAYA, approver=OMAR)
        # How many people it reaches is counted before it is due.
        await self.dispatcher.tick()
        self.clock.advance(timedelta(seconds=10))

    async def broadcast(self) -> Broadcast:
        with self.store.begin(Access.READ) as tx:
            return tx.broadcasts.get(1)

    async def details(self) -> list[tuple[str, str]]:
        with self.store.begin(Access.READ) as tx:
            return [(one.action, one.detail) for one in tx.audit.of_guild(GUILD)]

    async def tick(self, after: timedelta = timedelta()) -> Status:
        self.clock.advance(after)
        await self.dispatcher.tick()
        return (await self.broadcast()).status

    async def end(self, step: timedelta = timedelta(seconds=45)) -> tuple[str, int]:
        """Let time pass until nothing is under way; return where it ends, and how often customers got it."""
        for _ in range(60):
            if await self.tick() is not Status.SENDING:
                break
            self.clock.advance(step)
        ended, attempts = (await self.broadcast()).status, self.whop.attempts
        await self.restart()
        assert await self.tick(timedelta(hours=2)) is ended
        assert self.whop.attempts == attempts
        assert len(set(self.whop.wire)) <= 1, "the bytes, the key and the version date are always the same"
        return ended.value, self.whop.pushes

    async def kill_in_flight(self) -> None:
        """Leave things as a process does that dies while it waits for the answer."""
        self.wire.patient = True
        ticking = asyncio.create_task(self.dispatcher.tick())
        await self.whop.held.wait()
        ticking.cancel()
        await asyncio.gather(ticking, return_exceptions=True)


class OpenTrial(Protocol):
    def __call__(self, *, missed_after: str = "15m") -> AbstractAsyncContextManager[Trial]: ...


@pytest.fixture
def open_trial(tmp_path: Path) -> OpenTrial:
    @asynccontextmanager
    async def open_(*, missed_after: str = "15m") -> AsyncGenerator[Trial, None]:
        whop = Whop()
        async with (
            whop.open(),
            Transport(api_key=KEY, total_seconds=0.25) as hasty,
            Wire(whop, hasty) as wire,
            Store.open(new_file(tmp_path)) as store,
            AsyncExitStack() as processes,
        ):
            trial = Trial(
                whop=whop,
                wire=wire,
                store=store,
                settings=settings_of("sqlite:///never opened", tmp_path, origin=whop.origin),
                policy=parsed(server(ONE, rules=rules(missed=missed_after))),
                clock=ManualClock(),
                processes=processes,
            )
            await trial.start()
            yield trial

    return open_


@pytest.fixture
async def trial(open_trial: OpenTrial) -> AsyncGenerator[Trial, None]:
    async with open_trial() as opened:
        yield opened


REFUSED = Fault(name="connection refused", refused=True)
CLOSED_AFTER_ACCEPT = Fault(name="closed after accept", acts=True)
SILENT_AFTER_ACCEPT = Fault(name="silence after accept", acts=True, silent=True)
SILENT = Fault(name="silence", silent=True)
IN_PROGRESS = Fault(name="409 in progress", raw=error(409, "idempotency_request_in_progress"))
MISMATCH = Fault(name="400 mismatch", raw=error(400, "idempotency_key_mismatch"))

# What an end means: the broadcast's status, and how often customers got it. The columns are:
#   without a proven key: the fault in the first try, or after a connection that was refused
#   with a proven key: the fault in the first try
#   with a proven key: the fault in the second try, after Whop accepted the first and closed
#   with a proven key: the fault in every try
SENT, UNKNOWN, ARRIVED, FAILED = ("sent", 1), ("unknown", 0), ("unknown", 1), ("failed", 0)
REPEATABLE = (SENT, SENT, SENT)
FAULTS = [
    # It never left: repeated with or without proof, and given up with certainty.
    (REFUSED, *REPEATABLE, FAILED),
    (Fault(name="no such name", nowhere=True), *REPEATABLE, FAILED),
    # Whop says that it did not begin.
    (answers(429), *REPEATABLE, FAILED),
    (Fault(name="429 with a header", raw=http(429, "", "Retry-After: 30")), *REPEATABLE, FAILED),
    (
        Fault(name="429 with a message", raw=error(429, "rate_limit_exceeded", "Try again in 12 seconds.")),
        *REPEATABLE,
        FAILED,
    ),
    (answers(425), FAILED, SENT, SENT, FAILED),
    # It left, and what became of it is open.
    (Fault(name="closed before accept"), UNKNOWN, SENT, SENT, UNKNOWN),
    (CLOSED_AFTER_ACCEPT, ARRIVED, SENT, SENT, ARRIVED),
    (SILENT, UNKNOWN, SENT, SENT, UNKNOWN),
    (SILENT_AFTER_ACCEPT, ARRIVED, SENT, SENT, ARRIVED),
    (Fault(name="garbage", raw=b"NOT HTTP AT ALL\r\n\r\n"), UNKNOWN, SENT, SENT, UNKNOWN),
    (answers(408), UNKNOWN, SENT, SENT, UNKNOWN),
    (answers(499), UNKNOWN, SENT, SENT, UNKNOWN),
    (IN_PROGRESS, UNKNOWN, SENT, SENT, UNKNOWN),
    *((answers(status), UNKNOWN, SENT, SENT, UNKNOWN) for status in (500, 502, 503, 504)),
    *((answers(status, acts=True), ARRIVED, SENT, SENT, ARRIVED) for status in (500, 504)),
    # A repeat would tell nothing new.
    (answers(301), UNKNOWN, UNKNOWN, ARRIVED, UNKNOWN),
    (Fault(name="409 other", raw=error(409, "conflict")), UNKNOWN, UNKNOWN, ARRIVED, UNKNOWN),
    (MISMATCH, FAILED, UNKNOWN, ARRIVED, UNKNOWN),
    # Whop refuses it; of an earlier try this says nothing.
    *((answers(status), FAILED, FAILED, ARRIVED, FAILED) for status in (400, 401, 403, 404, 422)),
    # What it is said to be contradicts what is said: with a key, Whop would only say it again.
    *(
        (Fault(name=f"{status} {body}", raw=http(status, body), acts=True), *(ARRIVED,) * 4)
        for status, body in ((202, '{"success": false}'), (200, '{"error": {"message": "No"}}'))
    ),
    # A page is no answer of Whop's.
    *(
        (
            Fault(name=f"{status} with a page", raw=http(status, "<html>", "Content-Type: text/html")),
            *(UNKNOWN, SENT, SENT, UNKNOWN),
        )
        for status in (200, 403, 503)
    ),
    # Accepted, however the head and the body break.
    *(
        (
            Fault(name=f"202 with {name}", raw=http(202, '{"success": true}', header), acts=True),
            *REPEATABLE,
            SENT,
        )
        for name, header in (("9 kB", f"X: {'x' * 9000}"), ("a wrong header", "X-Gr\u00f6\u00dfe: 1"))
    ),
    (
        Fault(name="202 cut short", raw=b"HTTP/1.1 202 X\r\nContent-Length: 99\r\n\r\n{", acts=True),
        *REPEATABLE,
        SENT,
    ),
    (
        Fault(
            name="200 with half a chunk",
            raw=b"HTTP/1.1 200 X\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nab",
            acts=True,
        ),
        *REPEATABLE,
        SENT,
    ),
]
End = tuple[str, int]
CELLS = [
    pytest.param(fault, proven, order, end, id=f"{fault.name}-{'proven' if proven else 'unproven'}-{order}")
    for fault, unproven, first, second, every in FAULTS
    for proven, order, end in (
        (False, "first", unproven),
        (False, "repeated", unproven),
        (True, "first", first),
        (True, "repeated", second),
        (True, "every", every),
    )
]


@pytest.mark.parametrize(("fault", "proven", "order", "end"), CELLS)
async def test_each_fault_has_its_documented_end_and_reaches_customers_at_most_once(
    open_trial: OpenTrial, fault: Fault, proven: bool, order: str, end: End
) -> None:
    async with open_trial(missed_after="3m" if order == "every" else "15m") as trial:
        if proven:
            await trial.prove()
        if order == "repeated":
            trial.whop.script.append(CLOSED_AFTER_ACCEPT if proven else REFUSED)
        trial.whop.script.append(fault)
        if order == "every":
            trial.whop.always = fault
        await trial.approve()

        assert await trial.end() == end


async def test_a_first_try_that_stays_in_progress_for_15_minutes_is_unknown(open_trial: OpenTrial) -> None:
    async with open_trial(missed_after="20h") as trial:
        await in_doubt(trial)
        trial.whop.always = IN_PROGRESS
        assert await trial.end() == ARRIVED
        assert "busy with the first attempt for too long" in (await trial.broadcast()).reason
        assert timedelta(minutes=15) <= trial.clock.now - NOW - timedelta(hours=2) <= timedelta(minutes=20)


@pytest.mark.parametrize("fault", [REFUSED, answers(429)], ids=lambda fault: fault.name)
async def test_what_never_left_is_given_up_in_time_without_proof_too(trial: Trial, fault: Fault) -> None:
    trial.whop.always = fault
    await trial.approve()
    assert await trial.end() == FAILED
    assert "it was not sent in time" in (await trial.broadcast()).reason


async def test_it_is_given_up_as_soon_as_it_is_too_late_not_when_whop_would_listen_again(
    open_trial: OpenTrial,
) -> None:
    async with open_trial(missed_after="2m") as trial:
        trial.whop.always = Fault(name="429", raw=http(429, "", "Retry-After: 600"))
        await trial.approve()
        assert await trial.tick() is Status.SENDING
        assert await trial.tick(timedelta(seconds=120)) is Status.SENDING
        assert await trial.tick(timedelta(seconds=2)) is Status.FAILED
        assert trial.whop.attempts == 1


async def test_the_record_says_of_each_retry_what_happened(trial: Trial) -> None:
    await trial.prove()
    trial.whop.script.extend([CLOSED_AFTER_ACCEPT, answers(503)])
    await trial.approve()
    await trial.end()
    assert [detail for action, detail in await trial.details() if action == "will try again"] == [
        "no answer from Whop: the connection was closed",
        "Whop answered 503",
    ]


# --- how long a key is trusted ---------------------------------------------------------------------


async def in_doubt(trial: Trial) -> None:
    """Get to where Whop accepted the first try, and Herald does not know."""
    await trial.prove()
    trial.whop.script.append(CLOSED_AFTER_ACCEPT)
    await trial.approve()
    assert await trial.tick() is Status.SENDING


async def test_a_key_is_trusted_for_less_than_20_hours(open_trial: OpenTrial) -> None:
    async with open_trial(missed_after="20h") as trial:
        await in_doubt(trial)
        trial.whop.always = answers(503)
        trial.clock.advance(timedelta(hours=19, minutes=59))
        assert await trial.tick() is Status.SENDING
        trial.whop.always = None
        # Late enough for any wait to be over; by the clock of its due time it would still be in time.
        trial.clock.advance(NOW + timedelta(hours=20, seconds=10) - trial.clock.now)
        attempts = trial.whop.attempts
        with trial.store.begin() as tx:
            delivery = only(tx.deliveries.of(1))
            assert tx.deliveries.settle(
                delivery,
                status=delivery.status,
                detail=delivery.detail,
                at=trial.clock.now,
                next_at=trial.clock.now,
            )
        assert await trial.end() == ARRIVED
        assert trial.whop.attempts == attempts


async def test_a_key_is_still_trusted_hours_after_the_first_try(open_trial: OpenTrial) -> None:
    async with open_trial(missed_after="20h") as trial:
        await in_doubt(trial)
        trial.clock.advance(timedelta(hours=19))
        assert await trial.end() == SENT


async def test_a_clock_that_went_back_does_not_make_an_old_key_young(open_trial: OpenTrial) -> None:
    async with open_trial(missed_after="20h") as trial:
        await in_doubt(trial)
        trial.whop.always = answers(503)
        for _ in range(5):
            await trial.tick(timedelta(hours=3))
        trial.whop.always = None
        attempts = trial.whop.attempts
        trial.clock.jump(-timedelta(hours=14))
        await trial.restart()
        # It is due again only when the clock has come back, and by then the key may be forgotten.
        with trial.store.begin() as tx:
            delivery = only(tx.deliveries.of(1))
            assert tx.deliveries.settle(
                delivery,
                status=delivery.status,
                detail=delivery.detail,
                at=trial.clock.now,
                next_at=trial.clock.now,
            )
        assert await trial.end() == ARRIVED
        assert trial.whop.attempts == attempts


async def test_what_is_in_doubt_is_not_repeated_once_the_proof_is_gone(trial: Trial) -> None:
    await in_doubt(trial)
    await trial.prove(honoured=False)
    assert await trial.end() == ARRIVED
    assert trial.whop.attempts == 1


async def test_what_is_in_doubt_is_not_repeated_with_another_api_key_proven_or_not(trial: Trial) -> None:
    await in_doubt(trial)
    trial.settings = trial.settings.model_copy(update={"whop_api_key": SecretStr("another")})
    await trial.restart()
    trial.clock.advance(timedelta(seconds=1))
    await trial.prove()
    assert await trial.end() == ARRIVED
    assert trial.whop.attempts == 1


async def test_what_is_in_doubt_and_late_is_unknown_and_what_never_left_is_not_sent(trial: Trial) -> None:
    await in_doubt(trial)
    trial.clock.advance(timedelta(hours=1))
    assert await trial.end() == ARRIVED
    assert (await trial.broadcast()).reason.startswith("no final answer came in time (no answer from Whop")


# --- restarts --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "proven", "end"),
    [
        (SILENT_AFTER_ACCEPT, True, SENT),
        (SILENT, True, SENT),
        (SILENT_AFTER_ACCEPT, False, ARRIVED),
        (SILENT, False, UNKNOWN),
    ],
    ids=lambda value: getattr(value, "name", None),
)
async def test_killed_in_flight_it_is_repeated_only_with_a_proven_key(
    trial: Trial, fault: Fault, proven: bool, end: End
) -> None:
    if proven:
        await trial.prove()
    trial.whop.script.append(fault)
    await trial.approve()
    await trial.kill_in_flight()
    await trial.restart()

    assert await trial.end() == end
    assert trial.whop.attempts == (2 if proven else 1)


async def test_killed_between_claim_and_first_byte_it_goes_out_once_with_a_proven_key(trial: Trial) -> None:
    await trial.prove()
    await trial.approve()
    await trial.dispatcher._start_due()  # pyright: ignore[reportPrivateUsage]
    assert len((await trial.dispatcher._claim_due()).claims) == 1  # pyright: ignore[reportPrivateUsage]
    await trial.restart()
    assert await trial.end() == SENT


async def test_killed_in_each_of_many_tries_it_still_goes_out_once(trial: Trial) -> None:
    await trial.prove()
    trial.whop.script.extend([SILENT_AFTER_ACCEPT] * 5)
    await trial.approve()
    for _ in range(5):
        trial.whop.held.clear()
        await trial.kill_in_flight()
        await trial.restart()
        trial.clock.advance(timedelta(seconds=1))
    assert await trial.end() == SENT


async def test_a_claim_found_after_a_long_downtime_is_unknown_even_with_a_proven_key(trial: Trial) -> None:
    await trial.prove()
    trial.whop.script.append(SILENT_AFTER_ACCEPT)
    await trial.approve()
    await trial.kill_in_flight()
    trial.clock.advance(timedelta(hours=1))
    await trial.restart()
    assert (await trial.broadcast()).status is Status.UNKNOWN
    assert "will try again" not in [action for action, _ in await trial.details()]


async def test_a_key_that_was_proven_only_after_the_crash_is_of_no_use_to_the_claim(trial: Trial) -> None:
    trial.whop.script.append(SILENT_AFTER_ACCEPT)
    await trial.approve()
    await trial.kill_in_flight()
    trial.clock.advance(timedelta(seconds=1))
    await trial.prove()
    await trial.restart()
    assert await trial.end() == ARRIVED
