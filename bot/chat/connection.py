"""The connection to Discord: logging in, listening, and coming back, whatever ends it and however often."""

import asyncio
from collections.abc import Callable, Coroutine, Generator, Mapping
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from time import perf_counter
from types import MappingProxyType
from typing import Any, Final, TypeVar

import aiohttp
import discord
import structlog
from discord.gateway import DiscordWebSocket, ReconnectWebSocket

from bot.clock import Steady
from bot.errors import REFUSED_BY_DISCORD, ConfigurationError

log = structlog.get_logger()

# Herald has no voice: discord.py need not warn that it cannot speak.
discord.VoiceClient.warn_nacl = False
discord.VoiceClient.warn_dave = False

# Between two tries: it doubles, and the ceiling holds for ever. The first is also the shortest.
FIRST_WAIT_SECONDS: Final = 1.0
LONGEST_WAIT_SECONDS: Final = 30.0
# How long one try may take.
TRY_SECONDS: Final = 30.0
# What ends sooner than that has not been a connection: Discord allows a thousand sessions a day, no more.
BRIEF_SECONDS: Final = 5.0
# So long it is asked at most how many sessions are left.
ASK_SECONDS: Final = 5.0
# So long a heartbeat may be on its way.
ANSWER_SECONDS: Final = 10.0
# What only a person can mend, by the code that the gateway closes with.
REFUSED: Final = MappingProxyType(
    {
        4004: REFUSED_BY_DISCORD,
        **dict.fromkeys(
            (4013, 4014),
            "Discord refuses what Herald wants to hear of (intents): look at the bot's page in the developer"
            " portal, or update Herald.",
        ),
    }
)
# After these a session cannot be resumed: not authenticated, no longer valid, a wrong sequence, timed out.
ENDING: Final = frozenset({4003, 4006, 4007, 4009})

T = TypeVar("T")
_TOLD_AT_ONCE: Final = ContextVar("told_at_once", default=False)
# What nobody waits for any more, and what goes on all the same.
_abandoned: Final = set[asyncio.Task[Any]]()


async def bounded(call: Coroutine[Any, Any, T], seconds: float) -> T:
    """Wait at most so long for a call of discord.py; raise TimeoutError after it, and let the call go on.

    It must not be cancelled: while it sleeps through a global rate limit it has shut the way for all other
    calls of its client, and only its waking opens it again (2.7.1, HTTPClient.request).
    """
    task = asyncio.create_task(call)
    _abandoned.add(task)
    task.add_done_callback(_forget)
    async with asyncio.timeout(seconds):
        return await asyncio.shield(task)


@contextmanager
def told_at_once() -> Generator[None, None, None]:
    """Let whatever is asked of Discord within fail as soon as that answers with an error of its own.

    Otherwise discord.py tries up to five times, and sleeps between them for up to nine seconds, in which
    Discord may be well again. Nothing goes on unseen: no request is left behind that could apply late.
    """
    token = _TOLD_AT_ONCE.set(True)
    try:
        yield
    finally:
        _TOLD_AT_ONCE.reset(token)


def _forget(task: asyncio.Task[Any]) -> None:
    _abandoned.discard(task)
    # What it raises was told to whoever waited, or concerns nobody any more.
    if not task.cancelled():
        task.exception()


def is_out_of_reach(error: BaseException) -> bool:
    """Tell whether Discord did not say anything to what was asked, so that the next try may succeed."""
    match error:
        case discord.HTTPException():
            return error.status == 429 or error.status >= 500
        case aiohttp.ClientError() | OSError() | discord.RateLimited():
            return True
        case _:
            return False


async def log_in(client: discord.Client, token: str) -> None:
    """Log a client in; raise what discord.py raises, with nothing left open."""
    try:
        await client.login(token)
    except BaseException:
        # A login that fails leaves its session and connector behind; the next one makes its own.
        await client.http.close()
        client.http.connector = discord.utils.MISSING
        raise


class Connection:
    """Keeps one client connected, in place of discord.py's own loop.

    That one waits up to 17 minutes between two tries, whatever happens meanwhile, and ends the client on an
    event that it cannot read. This one tries at least every half minute for ever, and at once when the
    network answers again; it resumes the session where it can, so that nothing is missed.
    """

    def __init__(self, client: discord.Client, *, steady: Steady) -> None:
        self._client = client
        self._steady = steady
        # What the next try resumes, if anything.
        self._session: dict[str, Any] = {}
        # Whether READY or RESUMED came over the connection that stands now.
        self._stands = False
        self._lost_at: float | None = None
        self._is_cut = False
        # When the next session may begin, if one waits.
        self._session_at: float | None = None
        self._network_is_back = asyncio.Event()
        client.http.http_trace = self._listening_to_requests()

    @property
    def is_up(self) -> bool:
        """Tell whether it stands now: Discord has answered the last heartbeat, or may still do so."""
        socket: Any = self._client.ws
        # A simulated connection has none.
        beats = getattr(socket, "_keep_alive", None)
        if beats is None or not self._stands or not socket.open:
            return False
        # Of the library there is only the time between the two, which does not grow while one is missing.
        answered, sent = beats._last_ack, beats._last_send  # noqa: SLF001
        return answered >= sent or perf_counter() - sent < ANSWER_SECONDS

    async def log_in(self, token: str) -> None:
        """Log in, however long Discord is out of reach; raise ConfigurationError if it refuses the token."""
        wait = FIRST_WAIT_SECONDS
        while True:
            try:
                # It may be called off: it has nothing yet that other calls share.
                async with asyncio.timeout(TRY_SECONDS):
                    return await log_in(self._client, token)
            except discord.LoginFailure:
                raise ConfigurationError(REFUSED_BY_DISCORD) from None
            except (discord.HTTPException, aiohttp.ClientError, OSError) as error:
                self._note_out_of_reach(type(error).__name__)
            await self._pause(wait)
            wait = min(wait * 2, LONGEST_WAIT_SECONDS)

    async def keep(self) -> None:
        """Stay connected until the client is closed; raise ConfigurationError for what a person must mend."""
        wait = 0.0
        while not self._client.is_closed():
            if not self._session:
                await self._wait_for_a_session()
            began = self._steady()
            why = await self._listen()
            if self._client.is_closed():
                return
            self._client.dispatch("disconnect")
            if why is not None:
                self._note_out_of_reach(why)
            brief = self._steady() - began < BRIEF_SECONDS
            wait = min(max(wait * 2, FIRST_WAIT_SECONDS), LONGEST_WAIT_SECONDS) if brief else 0.0
            await self._pause(wait)

    @property
    def condition(self) -> Mapping[str, Any]:
        """Return how it is, for the health page: whether it stands, and what a new session waits."""
        if self._session_at is None:
            return {"ok": self.is_up}
        return {"ok": False, "next_session_in_seconds": round(self._session_at - self._steady())}

    async def _wait_for_a_session(self) -> None:
        """Wait as long as it takes until a new session leaves enough for the rest of Discord's day.

        Who begins more than it allows in a day, a thousand, loses its token and every session. Of what is
        left once half is used up each has its share of the time. What is resumed does not count.
        """
        wait = await self._seconds_for_a_session()
        if wait > 0:
            log.warning("Discord lets Herald begin few new sessions today: it waits", seconds=round(wait))
            self._session_at = self._steady() + wait
            await asyncio.sleep(wait)
            self._session_at = None

    async def _seconds_for_a_session(self) -> float:
        try:
            with told_at_once():
                _, _, limit = await bounded(self._client.http.get_bot_gateway(), ASK_SECONDS)
        except (discord.DiscordException, aiohttp.ClientError, OSError, RuntimeError):
            # Whether it is within reach shows next; the last is what a client says that was closed meanwhile.
            return 0
        if limit["remaining"] * 2 > limit["total"]:
            return 0
        return limit["reset_after"] / 1000 / max(limit["remaining"], 1)

    def noting(self, parse: Callable[[Any], None]) -> Callable[[Any], None]:
        """Return a parser of READY or RESUMED that also notes that the connection stands."""

        def parse_and_note(data: Any) -> None:
            parse(data)
            self._stands = True
            if self._lost_at is not None:
                log.info("Discord is within reach again", after_seconds=round(self._steady() - self._lost_at))
                self._lost_at = None

        return parse_and_note

    async def _listen(self) -> str | None:
        """Connect and hear what happens until the connection ends; return what kept it from standing."""
        socket: DiscordWebSocket | None = None
        why = ""
        try:
            async with asyncio.timeout(TRY_SECONDS):
                socket = await DiscordWebSocket.from_client(
                    self._client, initial=not self._session, **self._session
                )
            self._client.ws = socket
            while True:
                await socket.poll_event()
        except ReconnectWebSocket as ended:
            why = ended.op
        except discord.ConnectionClosed as closed:
            if closed.code in REFUSED:
                raise ConfigurationError(REFUSED[closed.code]) from None
            why = f"closed with {closed.code}"
        except (discord.HTTPException, discord.GatewayNotFound, aiohttp.ClientError, OSError) as error:
            why = type(error).__name__
        except Exception as fault:
            log.error("Discord sent what Herald cannot read; it connects anew", kind=type(fault).__name__)
            log.debug("what could not be read", exc_info=fault)
            why = type(fault).__name__
        stood, self._stands = self._stands, False
        await self._remember(socket, stood=stood)
        return None if stood else why

    async def _remember(self, socket: DiscordWebSocket | None, *, stood: bool) -> None:
        """Let go of a connection that ended, and keep what the next one can resume."""
        if socket is None:
            # The place to resume at may be what is gone.
            self._session.pop("gateway", None)
            return
        with suppress(Exception):
            async with asyncio.timeout(ANSWER_SECONDS):
                # With a code that leaves the session as it is.
                await socket.close(code=4000)
        # A session that never stood would be resumed into a client that has not heard its beginning.
        ended = socket.session_id is None or socket.socket.close_code in ENDING
        resumable = (stood or self._session) and not ended
        self._session = (
            {
                "resume": True,
                "session": socket.session_id,
                "sequence": socket.sequence,
                "gateway": socket.gateway,
            }
            if resumable
            else {}
        )

    def _note_out_of_reach(self, why: str) -> None:
        if self._lost_at is None:
            self._lost_at = self._steady()
            log.warning("Discord is out of reach; what is approved is sent all the same", why=why)

    async def _pause(self, seconds: float) -> None:
        """Wait, but no longer than until a request is answered again after one that was not."""
        self._network_is_back.clear()
        await asyncio.sleep(min(seconds, FIRST_WAIT_SECONDS))
        if seconds > FIRST_WAIT_SECONDS:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._network_is_back.wait(), seconds - FIRST_WAIT_SECONDS)

    def _listening_to_requests(self) -> aiohttp.TraceConfig:
        trace = aiohttp.TraceConfig()
        trace.on_request_end.append(self._answered)
        trace.on_request_exception.append(self._unanswered)
        return trace

    async def _answered(self, _session: Any, _context: Any, params: aiohttp.TraceRequestEndParams) -> None:
        was_cut, self._is_cut = self._is_cut, params.response.status >= 500
        if was_cut and not self._is_cut:
            self._network_is_back.set()
        if self._is_cut and _TOLD_AT_ONCE.get():
            raise discord.DiscordServerError(params.response, None)

    async def _unanswered(self, *_: Any) -> None:
        self._is_cut = True
