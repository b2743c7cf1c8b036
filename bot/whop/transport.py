"""The one place that sends bytes to Whop."""

import ssl
from types import SimpleNamespace
from typing import Final, Self

import aiohttp
from pydantic import SecretStr

from bot.delivery import NoAnswer, Request, Response

CONNECT_SECONDS: Final = 5.0
TOTAL_SECONDS: Final = 30.0
BODY_LIMIT: Final = 64 * 1024


class Transport:
    """Send frozen requests over fresh connections; an asynchronous context manager."""

    def __init__(self, *, api_key: SecretStr, total_seconds: float = TOTAL_SECONDS) -> None:
        self._api_key = api_key
        self._total_seconds = total_seconds

    async def __aenter__(self) -> Self:
        trace = aiohttp.TraceConfig()
        trace.on_request_headers_sent.append(_note_bytes_left)
        self._session = aiohttp.ClientSession(
            # A kept connection may be half closed: a POST on it would fail in doubt.
            connector=aiohttp.TCPConnector(force_close=True),
            timeout=aiohttp.ClientTimeout(total=self._total_seconds, sock_connect=CONNECT_SECONDS),
            trace_configs=[trace],
            trust_env=False,
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._session.close()

    async def send(self, request: Request) -> Response | NoAnswer:
        """Send it once; whatever happens on the way is returned, never raised."""
        sent = SimpleNamespace(bytes_left=False)
        headers = {**request.headers, "Authorization": f"Bearer {self._api_key.get_secret_value()}"}
        try:
            async with self._session.request(
                request.method,
                request.url,
                data=request.body or None,
                headers=headers,
                # The key must not follow a redirect to another host.
                allow_redirects=False,
                trace_request_ctx=sent,
            ) as answer:
                body = await _read_bounded(answer)
                return Response(status=answer.status, headers=answer.headers, body=body)
        # The exceptions of aiohttp carry the request's headers: only their kind is passed on.
        except TimeoutError:
            return NoAnswer(reason="it took too long", bytes_left=sent.bytes_left)
        except (aiohttp.ClientError, OSError, ssl.SSLError) as error:
            return NoAnswer(
                reason=_KINDS.get(type(error).__name__, type(error).__name__), bytes_left=sent.bytes_left
            )


_KINDS: Final = {
    "ServerDisconnectedError": "the connection was closed",
    "ClientConnectorError": "no connection",
    "ClientConnectorDNSError": "its name could not be resolved",
    "ClientConnectorCertificateError": "its certificate is not valid",
    "ClientOSError": "the connection broke",
    "ConnectionTimeoutError": "no connection in time",
}


async def _note_bytes_left(
    _session: aiohttp.ClientSession,
    context: SimpleNamespace,
    _params: aiohttp.TraceRequestHeadersSentParams,
) -> None:
    # aiohttp signals this just before it writes: from here on, nobody can say that nothing left.
    context.trace_request_ctx.bytes_left = True


async def _read_bounded(answer: aiohttp.ClientResponse) -> str:
    """Return the body as far as it came: the status line alone already says what Whop decided."""
    read = bytearray()
    try:
        while len(read) < BODY_LIMIT and (part := await answer.content.read(BODY_LIMIT - len(read))):
            read += part
    except (TimeoutError, aiohttp.ClientError, OSError):
        pass
    return read.decode(errors="replace")
