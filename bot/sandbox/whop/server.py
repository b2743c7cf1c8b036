"""A simulated Whop on the loopback interface, for the browser sandbox and for the tests."""

import hashlib
from collections import deque
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Protocol

from aiohttp import web

from bot.sandbox.whop.call import Answer, Call, Refusal
from bot.sandbox.whop.page import CUSTOMER_PAGE, add_customer_page
from bot.sandbox.whop.people import People
from bot.sandbox.whop.record import DROPS, Exchange, Fault, GenerationName, Push, ReadFault, Served
from bot.sandbox.whop.replay import NewEvent
from bot.sandbox.whop.slow import SlowLane
from bot.sandbox.whop.spoiled import BLOCKED, refused, spoil
from bot.sandbox.whop.v1 import NOTIFY, V1, account_of
from bot.sandbox.whop.v1_reads import MEMBERS
from bot.sandbox.whop.v5 import V5

SECRET_HEADERS = frozenset({"authorization", "cookie", "proxy-authorization", "x-api-key"})
# What never gets as far as Whop's log.
UNSERVED = frozenset({Fault.FIREWALL, Fault.DROP_BEFORE_ACCEPT})
# Of a long answer to a question, so much is kept to be shown.
LONGEST_KEPT = 4_000
LARGEST_BODY = 16 * 1024 * 1024


class Generation(Protocol):
    """Serve one generation of the API."""

    @property
    def name(self) -> GenerationName: ...

    def admit(self, call: Call) -> None:
        """Count the call against the rate limit, or raise a Refusal."""
        ...

    def recall(self, call: Call) -> NewEvent | None:
        """Return what is remembered of the call's idempotency key, or raise a Refusal."""
        ...

    def answer(self, call: Call) -> tuple[Answer, Push | None]:
        """Answer the call, with the push when it was a notification, or raise a Refusal."""
        ...

    def rate_limited(self, seconds: int) -> Refusal:
        """Give the refusal of a call that is one too many."""
        ...

    def refuse(self, refusal: Refusal) -> Answer:
        """Put a refusal into the envelope of the generation."""
        ...


class SimulatedWhop:
    """Serve both generations of Whop's notification API, and a page that shows what customers see."""

    def __init__(
        self,
        *,
        api_keys: Collection[str] = ("sandbox-key",),
        clock: Callable[[], datetime],
        slow_seconds: float = 5.0,
        on_exchange: Callable[[Exchange], None] | None = None,
        links: Callable[[], Sequence[tuple[str, str]]] = lambda: (),
        topics: Sequence[tuple[str, str]] = (),
        experiences: Mapping[str, str] | None = None,
        products: Mapping[str, str] | None = None,
        people: People | None = None,
    ) -> None:
        self.exchanges: list[Exchange] = []
        self.reads: list[Exchange] = []
        self.pushes: list[Push] = []
        # What its own log shows, and whether the key may read it.
        self.served: list[Served] = []
        self.shows_log = True
        self.fault = Fault.NONE
        self.read_fault = ReadFault.NONE
        self.honours_keys = True
        self.permissions: set[str] = {NOTIFY, MEMBERS}
        self.topics: list[tuple[str, str]] = list(topics)
        self.experiences: dict[str, str] = dict(experiences or {})
        self.products: dict[str, str] = dict(products or {})
        self.people = people or People()
        self.clock = clock
        self.links = links
        self._credentials = {_credential(key) for key in api_keys}
        self._slow_seconds = slow_seconds
        self._on_exchange = on_exchange
        self._next_faults: deque[Fault] = deque()
        self._next_read_faults: deque[ReadFault] = deque()
        self._slow = SlowLane()
        self._runner: web.AppRunner | None = None
        self._port = 0
        self.app = web.Application(client_max_size=LARGEST_BODY)
        add_customer_page(self.app, self)
        for generation in (V5(self), V1(self)):
            self.app.router.add_route("*", f"/api/{generation.name}/{{path:.*}}", self._handler(generation))

    @property
    def origin(self) -> str:
        """Give the address without a path; known once started."""
        return f"http://127.0.0.1:{self._port}"

    @property
    def page_url(self) -> str:
        """Give the address of the page that shows what customers see."""
        return f"{self.origin}{CUSTOMER_PAGE}"

    @property
    def next_faults(self) -> Sequence[Fault]:
        """List the faults that the next answers have, before `fault` counts again."""
        return tuple(self._next_faults)

    def add_routes(self, routes: Iterable[web.AbstractRouteDef]) -> None:
        """Add handlers of others; only before the start."""
        self.app.router.add_routes(routes)

    def fail_next(self, fault: Fault, *, times: int = 1) -> None:
        """Give the next `times` notifications this fault, whatever `fault` is."""
        self._next_faults.extend([fault] * times)

    def fail_reads(self, fault: ReadFault, *, times: int = 1, after: int = 0) -> None:
        """Give the next `times` questions this fault, behind so many that go well."""
        self._next_read_faults.extend([ReadFault.NONE] * after + [fault] * times)

    def times(self, user: str, subject: str) -> int:
        """Return how often somebody got what has this subject in the feed or on the phone."""
        got = [push for push in self.pushes if user in push.reached]
        return sum(any(text and text[0] == subject for text in (one.feed, one.phone)) for one in got)

    def release_slow(self) -> None:
        """Let the answers go that are being held by SLOW."""
        self._slow.release()

    async def slow_held(self) -> None:
        """Wait until at least one answer is being held by SLOW."""
        await self._slow.occupied()

    async def start(self, *, port: int = 0) -> None:
        """Listen on 127.0.0.1; port 0 takes a free one."""
        self._runner = web.AppRunner(self.app, access_log=None, shutdown_timeout=1.0)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", port).start()
        self._port = self._runner.addresses[0][1]

    async def close(self) -> None:
        """Stop listening and let go of what is still held."""
        self._slow.release()
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    def _handler(self, generation: Generation) -> Callable[[web.Request], Awaitable[web.Response]]:
        async def serve(request: web.Request) -> web.Response:
            return await self._serve(generation, request)

        return serve

    async def _serve(self, generation: Generation, request: web.Request) -> web.Response:
        call = await _arrived(request, self.clock())
        if call.method in {"GET", "HEAD"}:
            return self._serve_read(generation, request, call)
        fault = self._take_fault() if call.method == "POST" else Fault.NONE
        answer, entry = self._decide(generation, call, fault)
        if generation.name == "v1" and call.method == "POST" and fault not in UNSERVED:
            self._log(call, answer)
        if fault is Fault.SLOW:
            await self._slow.hold(self._slow_seconds)
        if entry is not None:
            entry.forgotten = fault is Fault.DROP_BEFORE_ACCEPT
            entry.answer = answer
        if fault in DROPS and request.transport is not None:
            request.transport.close()
        self._record(request, call, answer)
        return _response(answer)

    def _serve_read(self, generation: Generation, request: web.Request, call: Call) -> web.Response:
        fault = self._next_read_faults.popleft() if self._next_read_faults else self.read_fault
        try:
            self._admit(generation, call, Fault.NONE)
            if refusal := refused(fault, rate_limited=generation.rate_limited):
                raise refusal
            answer = spoil(fault, generation.answer(call)[0])
        except Refusal as refusal:
            answer = generation.refuse(refusal)
        if fault is ReadFault.HANG_UP and request.transport is not None:
            request.transport.close()
        self._record(request, call, answer)
        return _response(answer)

    def _log(self, call: Call, answer: Answer) -> None:
        self.served.append(
            Served(
                id=f"log_{len(self.served) + 1:06}",
                at=call.at,
                status=answer.status,
                user_agent=call.headers.get("User-Agent", ""),
                credential=call.credential,
                account=account_of(call),
            )
        )

    def _take_fault(self) -> Fault:
        return self._next_faults.popleft() if self._next_faults else self.fault

    def _decide(self, generation: Generation, call: Call, fault: Fault) -> tuple[Answer, NewEvent | None]:
        if fault is Fault.FIREWALL:
            return BLOCKED, None
        try:
            self._admit(generation, call, fault)
            entry = generation.recall(call) if self.honours_keys else None
        except Refusal as refusal:
            return generation.refuse(refusal), None
        if entry is not None and entry.answer is not None:
            return entry.answer.replayed(), None
        return self._run(generation, call, fault), entry

    def _admit(self, generation: Generation, call: Call, fault: Fault) -> None:
        # These answers come from before the operation, so no idempotency key ever remembers them.
        if fault is Fault.UNAUTHORIZED or call.credential not in self._credentials:
            raise Refusal(401, "unauthorized", "The API key is missing or not valid")
        if fault is Fault.RATE_LIMITED:
            raise generation.rate_limited(12)
        generation.admit(call)
        if fault is Fault.SERVER_ERROR:
            raise Refusal(500, "internal_server_error", "Something went wrong on our side")

    def _run(self, generation: Generation, call: Call, fault: Fault) -> Answer:
        try:
            _reject(fault)
            answer, push = generation.answer(call)
        except Refusal as refusal:
            return generation.refuse(refusal)
        if push is not None and fault is not Fault.DROP_BEFORE_ACCEPT:
            self.pushes.append(push)
        return answer

    def _record(self, request: web.Request, call: Call, answer: Answer) -> None:
        answered = request.transport is not None and not request.transport.is_closing()
        exchange = Exchange(
            at=call.at,
            method=call.method,
            url=f"{request.scheme}://{request.host}{request.raw_path}",
            headers=_masked(request.headers),
            body=call.body.decode(errors="backslashreplace"),
            status=answer.status if answered else None,
            response=_kept(call, answer) if answered else "",
            replayed=answered and "Idempotent-Replayed" in answer.headers,
        )
        if call.method in {"GET", "HEAD"}:
            self.reads.append(exchange)
            return
        self.exchanges.append(exchange)
        if self._on_exchange is not None:
            self._on_exchange(exchange)


def _response(answer: Answer) -> web.Response:
    return web.Response(
        status=answer.status, text=answer.text, headers=answer.headers, content_type=answer.content_type
    )


def _kept(call: Call, answer: Answer) -> str:
    # A thousand pages of members would fill the memory.
    is_long = call.method != "POST" and len(answer.text) > LONGEST_KEPT
    return f"{answer.text[:LONGEST_KEPT]}…" if is_long else answer.text


def _reject(fault: Fault) -> None:
    if fault is Fault.REJECT:
        raise Refusal(400, "invalid_request", "The notification was rejected")
    if fault is Fault.NOT_INSTALLED:
        raise Refusal(403, "forbidden", "The app is not installed on this account")


async def _arrived(request: web.Request, at: datetime) -> Call:
    scheme, _, key = request.headers.get("Authorization", "").partition(" ")
    return Call(
        at=at,
        method=request.method,
        path=request.match_info["path"],
        query=request.rel_url.raw_query_string,
        params=request.query,
        headers=request.headers,
        content_type=request.content_type,
        body=await request.read(),
        credential=_credential(key) if scheme.lower() == "bearer" else "",
    )


def _credential(key: str) -> str:
    # Only a digest is kept, so that no repr, log or page can show a key.
    return hashlib.sha256(key.strip().encode("utf-8", "surrogateescape")).hexdigest()


def _masked(headers: Mapping[str, str]) -> dict[str, str]:
    return {
        name: ("Bearer ***" if value.lower().startswith("bearer ") else "***")
        if name.lower() in SECRET_HEADERS
        else value
        for name, value in headers.items()
    }
