"""The one place that sends bytes to Whop."""

from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import Final, Self

import aiohttp
from pydantic import SecretStr

from bot.delivery import NoAnswer, Request, Response
from bot.redaction import Redaction
from bot.settings import may_learn_key

CONNECT_SECONDS: Final = 5.0
TOTAL_SECONDS: Final = 30.0
BODY_LIMIT: Final = 64 * 1024


class Transport:
    """Send frozen requests over fresh connections; an asynchronous context manager."""

    def __init__(self, *, api_key: SecretStr, total_seconds: float = TOTAL_SECONDS) -> None:
        self._api_key = api_key
        # Whoever answers may repeat what they were sent.
        self._redaction = Redaction([api_key.get_secret_value()])
        self._total_seconds = total_seconds

    async def __aenter__(self) -> Self:
        trace = aiohttp.TraceConfig()
        trace.on_request_headers_sent.append(_note_bytes_left)
        self._session = aiohttp.ClientSession(
            # A kept connection may be half closed: a POST on it would fail in doubt.
            connector=aiohttp.TCPConnector(force_close=True),
            timeout=aiohttp.ClientTimeout(total=self._total_seconds, sock_connect=CONNECT_SECONDS),
            trace_configs=[trace],
            # Nothing of one answer may colour the next request.
            cookie_jar=aiohttp.DummyCookieJar(),
            # A body that cannot be unpacked would take the status line down with it.
            headers={"Accept-Encoding": "identity"},
            auto_decompress=False,
            trust_env=False,
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._session.close()

    def __reduce__(self) -> str:
        """Refuse to be pickled: the key would stand in it as it is."""
        raise TypeError("a transport holds the key: it is not pickled")

    async def send(
        self, request: Request, *, may_leave: Callable[[], bool] = lambda: True
    ) -> Response | NoAnswer:
        """Send it once; whatever happens on the way is returned, never raised.

        `may_leave` is asked at the last moment before the first byte goes out.
        """
        session = self._session
        if not may_learn_key(request.url):
            # It comes from the database, which others may have written to.
            return NoAnswer(reason="its address is none of Whop's", bytes_left=False)
        sent = SimpleNamespace(bytes_left=False, may_leave=may_leave)
        headers = {**request.headers, "Authorization": f"Bearer {self._api_key.get_secret_value()}"}
        try:
            answer = await session.request(
                request.method,
                request.url,
                data=request.body or None,
                headers=headers,
                # The key must not follow a redirect to another host.
                allow_redirects=False,
                trace_request_ctx=sent,
            )
        # Besides its own kinds aiohttp lets ValueError, AssertionError and others out. All of them may
        # carry the request's headers: only their kind is passed on.
        except Exception as error:  # noqa: BLE001
            return NoAnswer(reason=_KINDS.get(type(error), type(error).__name__), bytes_left=sent.bytes_left)
        try:
            body = await _read_bounded(answer)
        finally:
            answer.close()
        clean = self._redaction
        headers = {clean(name): clean(value) for name, value in answer.headers.items()}
        return Response(status=answer.status, headers=headers, body=clean(body))


class _TooLateError(Exception):
    """Keep the first byte from leaving."""


_KINDS: Final[Mapping[type[Exception], str]] = {
    TimeoutError: "it took too long",
    aiohttp.ConnectionTimeoutError: "no connection in time",
    aiohttp.ClientConnectorError: "no connection",
    aiohttp.ClientConnectorDNSError: "its name could not be resolved",
    aiohttp.ClientConnectorCertificateError: "its certificate is not valid",
    aiohttp.ClientConnectorSSLError: "no secure connection",
    aiohttp.ServerDisconnectedError: "the connection was closed",
    aiohttp.ClientOSError: "the connection broke",
    aiohttp.ClientResponseError: "what came back is not HTTP",
    _TooLateError: "it took too long to begin",
}


async def _note_bytes_left(
    _session: aiohttp.ClientSession,
    context: SimpleNamespace,
    _params: aiohttp.TraceRequestHeadersSentParams,
) -> None:
    if not context.trace_request_ctx.may_leave():
        raise _TooLateError
    # aiohttp signals this just before it writes: from here on, nobody can say that nothing left.
    context.trace_request_ctx.bytes_left = True


async def _read_bounded(answer: aiohttp.ClientResponse) -> str:
    """Return the body as far as it came: the status line alone already says what Whop decided."""
    read = bytearray()
    try:
        while len(read) < BODY_LIMIT and (part := await answer.content.read(BODY_LIMIT - len(read))):
            read += part
    except Exception:  # noqa: BLE001, S110 - no kind of broken body takes the status back
        pass
    return read.decode(errors="replace")
