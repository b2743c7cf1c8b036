"""The transport sends each request once, tells whether anything left, and keeps the key to itself."""

import asyncio
import gzip
import logging
import shutil
import socket
import ssl
import subprocess
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

import pytest
import pytest_asyncio
from pydantic import SecretStr

from bot.delivery import NoAnswer, Request, Response
from bot.whop.api_log import get
from bot.whop.transport import BODY_LIMIT, READ_LIMIT, TOTAL_SECONDS, Transport
from tests.harness.found import only

KEY = "app-key-that-must-not-show"
BODY = '{"title":"Größe"}'.encode()
ACCEPTED = b"HTTP/1.1 202 Accepted\r\n"
EMPTY = b"Content-Length: 0\r\n\r\n"

Answer = Callable[[asyncio.StreamWriter], Awaitable[None]]


@dataclass
class Server:
    """A server on loopback that answers as it is told, and what reached it."""

    port: int = 0
    connections: int = 0
    received: list[bytes] = field(default_factory=list[bytes])
    reached: asyncio.Event = field(default_factory=asyncio.Event)
    open: dict[asyncio.StreamWriter, asyncio.Task[None] | None] = field(
        default_factory=dict[asyncio.StreamWriter, "asyncio.Task[None] | None"]
    )

    def url(self, *, scheme: str = "http", host: str = "127.0.0.1") -> str:
        return f"{scheme}://{host}:{self.port}/api/v1/notifications"


def let_time_be_over() -> None:
    """Let the loop's own clock go on, by more than the transport has for a request."""
    loop = asyncio.get_running_loop()
    now = loop.time
    # The loop is the test's own.
    pytest.MonkeyPatch().setattr(loop, "time", lambda: now() + TOTAL_SECONDS + 1)


def pieces(*parts: bytes, keep: bool = False, outlast: bool = False) -> Answer:
    """Write the parts one after the other, so that they arrive apart; then hang up, unless told not to.

    If told to `outlast` it, let the caller's time be over before that.
    """

    async def answer(writer: asyncio.StreamWriter) -> None:
        for part in parts:
            writer.write(part)
            await writer.drain()
            await asyncio.sleep(0.01)
        if outlast:
            let_time_be_over()
        if not keep:
            writer.close()

    return answer


async def say_nothing(_: asyncio.StreamWriter) -> None:
    """Leave the caller waiting."""


async def reset(writer: asyncio.StreamWriter) -> None:
    """Break the connection off."""
    writer.transport.abort()


def endless(beginning: bytes, part: bytes) -> Answer:
    """Write a part again and again until the caller hangs up, whose time is over meanwhile."""

    async def answer(writer: asyncio.StreamWriter) -> None:
        writer.write(beginning)
        with suppress(ConnectionError):
            for written in count():
                if writer.is_closing():
                    return
                if written == 20:
                    let_time_be_over()
                writer.write(part)
                await writer.drain()
                await asyncio.sleep(0)

    return answer


@asynccontextmanager
async def serve(answer: Answer, *, tls: ssl.SSLContext | None = None) -> AsyncGenerator[Server]:
    """Listen on 127.0.0.1 and give each request that came in whole the answer."""
    server = Server()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        server.connections += 1
        server.open[writer] = asyncio.current_task()
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                server.received.append(await _request(reader))
                server.reached.set()
                await answer(writer)
        writer.close()

    listening = await asyncio.start_server(handle, "127.0.0.1", 0, ssl=tls)
    server.port = listening.sockets[0].getsockname()[1]
    try:
        yield server
    finally:
        listening.close()
        await asyncio.sleep(0.01)
        # Whoever still answers has nobody to answer to.
        for writer, task in server.open.items():
            writer.transport.abort()
            if task is not None:
                task.cancel()
        await asyncio.gather(*filter(None, server.open.values()), return_exceptions=True)


async def _request(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readuntil(b"\r\n\r\n")
    length = next(
        (int(line[15:]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")), 0
    )
    return head + await reader.readexactly(length)


@pytest.fixture(autouse=True)
def _the_key_is_in_no_log(caplog: pytest.LogCaptureFixture) -> Iterator[None]:  # pyright: ignore[reportUnusedFunction]
    caplog.set_level(logging.DEBUG)
    yield
    assert KEY not in caplog.text


@pytest_asyncio.fixture
async def transport() -> AsyncIterator[Transport]:
    async with Transport(api_key=SecretStr(KEY)) as opened:
        yield opened


def post(url: str, *, body: bytes = BODY, headers: Mapping[str, str] | None = None) -> Request:
    whole = {"Content-Type": "application/json", **(headers or {})}
    return Request(method="POST", url=url, headers=whole, body=body)


def headers_of(received: bytes) -> dict[str, str]:
    lines = received.partition(b"\r\n\r\n")[0].decode().split("\r\n")[1:]
    return {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}


async def test_what_was_frozen_is_on_the_wire_exactly_and_the_key_beside_it(transport: Transport) -> None:
    async with serve(pieces(ACCEPTED + EMPTY)) as whop:
        await transport.send(post(whop.url(), headers={"Idempotency-Key": "one"}))
    received = only(whop.received)
    head, _, body = received.partition(b"\r\n\r\n")
    assert head.startswith(b"POST /api/v1/notifications HTTP/1.1\r\n")
    assert body == BODY
    headers = headers_of(received)
    assert headers.pop("user-agent") == "Herald/1.0"
    assert headers == {
        "host": f"127.0.0.1:{whop.port}",
        "authorization": f"Bearer {KEY}",
        "content-type": "application/json",
        "content-length": str(len(BODY)),
        "idempotency-key": "one",
        "accept": "*/*",
        "accept-encoding": "identity",
        "connection": "close",
    }


async def test_a_read_has_no_body(transport: Transport) -> None:
    async with serve(pieces(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")) as whop:
        answer = await transport.send(Request(method="GET", url=whop.url(), headers={}, body=b""))
    assert (answer, whop.received[0].partition(b"\r\n\r\n")[2]) == (
        Response(status=200, headers={"Content-Length": "2"}, body="{}"),
        b"",
    )


# --- nothing left -------------------------------------------------------------------------------------


async def test_a_refused_connection_says_that_nothing_left(transport: Transport) -> None:
    async with serve(say_nothing) as gone:
        pass
    assert await transport.send(post(gone.url())) == NoAnswer(reason="no connection", bytes_left=False)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "no-scheme",
        "ftp://127.0.0.1/",
        "http://",
        "http://[::1",
        "http://127.0.0.1:99999/",
        "http://somebody:secret@127.0.0.1:1/",
        # Too long a label fails before any resolver is asked.
        f"http://{'a' * 64}.invalid/",
        "http://a..invalid/",
    ],
)
async def test_an_address_that_cannot_be_used_says_that_nothing_left(transport: Transport, url: str) -> None:
    answer = await transport.send(post(url))
    assert isinstance(answer, NoAnswer)
    assert not answer.bytes_left


async def test_a_server_without_tls_gets_nothing(transport: Transport) -> None:
    heard: list[bytes] = []

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(await reader.read(65536))
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(handle, "127.0.0.1", 0) as listening:
        port = listening.sockets[0].getsockname()[1]
        answer = await transport.send(post(f"https://127.0.0.1:{port}/"))
    assert answer == NoAnswer(reason="no secure connection", bytes_left=False)
    assert KEY.encode() not in b"".join(heard)


async def test_a_handshake_that_never_ends_says_that_nothing_left(transport: Transport) -> None:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        let_time_be_over()
        await reader.read()
        writer.close()

    async with await asyncio.start_server(handle, "127.0.0.1", 0) as silent:
        port = silent.sockets[0].getsockname()[1]
        answer = await transport.send(post(f"https://127.0.0.1:{port}/"))
    assert answer == NoAnswer(reason="it took too long", bytes_left=False)


@pytest.fixture
def stranger(tmp_path: Path) -> ssl.SSLContext:
    """Return the TLS of a server whose certificate nobody vouches for."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("openssl is needed to make a certificate")
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    made = (
        f"req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout {key} -out {certificate}"
    )
    named = "-days 2 -subj /CN=127.0.0.1 -addext subjectAltName=IP:127.0.0.1"
    subprocess.run([openssl, *made.split(), *named.split()], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return context


async def test_a_server_whose_certificate_is_not_valid_gets_nothing(
    transport: Transport, stranger: ssl.SSLContext
) -> None:
    async with serve(pieces(ACCEPTED + EMPTY), tls=stranger) as impostor:
        answer = await transport.send(post(impostor.url(scheme="https")))
    assert answer == NoAnswer(reason="its certificate is not valid", bytes_left=False)
    assert not impostor.received


async def test_a_closed_session_sends_nothing() -> None:
    async with Transport(api_key=SecretStr(KEY)) as transport:
        pass
    async with serve(pieces(ACCEPTED + EMPTY)) as whop:
        answer = await transport.send(post(whop.url()))
    assert isinstance(answer, NoAnswer)
    assert not answer.bytes_left
    assert not whop.connections


# --- something left ------------------------------------------------------------------------------------

SILENCES: dict[str, Answer] = {
    "hangs up": pieces(),
    "breaks off": reset,
    "half a status line": pieces(b"HTTP/1.1 20"),
    "a status line without an end of headers": pieces(ACCEPTED),
    "only an early hint": pieces(b"HTTP/1.1 103 Early Hints\r\n\r\n"),
    "no HTTP": pieces(b"garbage\r\n\r\n"),
    "no text": pieces(b"\xff\x00\x01"),
    "a TLS alert": pieces(b"\x15\x03\x01\x00\x02\x02\x46"),
    "another version": pieces(b"HTTP/2 202\r\n\r\n"),
    "a wrong header within an early hint": pieces(b"HTTP/1.1 103 Early Hints\r\nno header\r\n\r\n"),
    "no status": pieces(b"HTTP/1.1 Accepted\r\nno header\r\n\r\n"),
}


@pytest.mark.parametrize("misbehave", SILENCES.values(), ids=SILENCES)
async def test_silence_or_garbage_after_the_request_says_that_it_left_once(
    transport: Transport, misbehave: Answer
) -> None:
    async with serve(misbehave) as whop:
        answer = await transport.send(post(whop.url()))
    assert isinstance(answer, NoAnswer)
    assert answer.bytes_left
    assert KEY not in repr(answer)
    assert (whop.connections, len(whop.received)) == (1, 1)


async def test_no_answer_in_time_says_that_it_left_once(transport: Transport) -> None:
    async with serve(pieces(keep=True, outlast=True)) as whop:
        answer = await transport.send(post(whop.url()))
    assert answer == NoAnswer(reason="it took too long", bytes_left=True)
    assert (whop.connections, len(whop.received)) == (1, 1)


@pytest.mark.parametrize("header", ["two\r\nlines: x", "no\0thing"])
async def test_a_header_that_cannot_be_sent_is_returned_and_not_raised(
    transport: Transport, header: str
) -> None:
    async with serve(pieces(ACCEPTED + EMPTY)) as whop:
        answer = await transport.send(post(whop.url(), headers={"Idempotency-Key": header}))
    assert isinstance(answer, NoAnswer)
    assert not whop.received


@pytest.mark.parametrize("key", [f"{KEY}\r\nX: y", f"{KEY}\0"])
async def test_a_key_that_cannot_be_sent_shows_nowhere(key: str) -> None:
    async with serve(pieces(ACCEPTED + EMPTY)) as whop, Transport(api_key=SecretStr(key)) as transport:
        answer = await transport.send(post(whop.url()))
    assert isinstance(answer, NoAnswer)
    assert KEY not in repr(answer)
    assert not whop.received


# --- the status line decides ---------------------------------------------------------------------------

BROKEN_BODIES: dict[str, Answer] = {
    "too short": pieces(ACCEPTED + b"Content-Length: 100\r\n\r\n{"),
    "none at all": pieces(ACCEPTED + b"Content-Length: 100\r\n\r\n"),
    "half a chunk": pieces(ACCEPTED + b"Transfer-Encoding: chunked\r\n\r\n", b"9\r\n{"),
    "not what it is packed as": pieces(ACCEPTED + b"Content-Encoding: gzip\r\nContent-Length: 4\r\n\r\nnope"),
    "packed in an unknown way": pieces(ACCEPTED + b"Content-Encoding: br\r\nContent-Length: 4\r\n\r\nnope"),
    "not UTF-8": pieces(ACCEPTED + b"Content-Length: 2\r\n\r\n\xff\xfe"),
    "without a length": pieces(ACCEPTED + b"\r\n"),
    "after an early hint": pieces(b"HTTP/1.1 103 Early Hints\r\n\r\n", ACCEPTED + EMPTY),
    "no chunk, in one piece with the head": pieces(
        ACCEPTED + b"Transfer-Encoding: chunked\r\n\r\nno chunk\r\n"
    ),
}
BROKEN_HEADS: dict[str, Answer] = {
    "a header of 9 kB": pieces(ACCEPTED + b"X: " + b"x" * 9000 + b"\r\n" + EMPTY),
    "a header that is too long all the same": pieces(ACCEPTED + b"X: " + b"x" * 100_000 + b"\r\n" + EMPTY),
    "200 headers": pieces(ACCEPTED + b"".join(b"X-%d: y\r\n" % one for one in range(200)) + EMPTY),
    "too many headers all the same": pieces(ACCEPTED + b"X: y\r\n" * 3000 + EMPTY),
    "a name that is not ASCII": pieces(ACCEPTED + "X-Größe: 7\r\n".encode() + EMPTY),
    "a value that is not ASCII": pieces(ACCEPTED + "X: größer\r\n".encode() + EMPTY),
    "no colon": pieces(ACCEPTED + b"no header\r\n\r\n"),
    "no reason": pieces(b"HTTP/1.1 202\r\nno header\r\n\r\n"),
    "lines that end in the old way": pieces(b"HTTP/1.1 202 Accepted\nno header\n\n"),
    "two lengths": pieces(ACCEPTED + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}"),
    "a negative length": pieces(ACCEPTED + b"Content-Length: -1\r\n\r\n"),
    "after an early hint": pieces(b"HTTP/1.1 103 Early Hints\r\n\r\n", ACCEPTED + b"no header\r\n\r\n"),
    "in pieces": pieces(ACCEPTED, b"no", b" header\r\n\r", b"\n"),
    "without an end": endless(ACCEPTED, b"X: y\r\n" * 1000),
}


@pytest.mark.parametrize("answer", (BROKEN_BODIES | BROKEN_HEADS).values(), ids=BROKEN_BODIES | BROKEN_HEADS)
async def test_no_broken_head_and_no_broken_body_takes_an_acceptance_back(
    transport: Transport, answer: Answer
) -> None:
    async with serve(answer) as whop:
        response = await transport.send(post(whop.url()))
    assert isinstance(response, Response)
    assert response.status == 202


async def test_of_a_broken_head_all_that_can_be_read_is_kept(transport: Transport) -> None:
    wrong = f"X-Größe: 7\r\nno header\r\nRetry-After: 30\r\nX-Key: {KEY}\r\n".encode()
    said = b'Content-Length: 17\r\n\r\n{"success":false}'
    async with serve(pieces(b"HTTP/1.1 429 Too Many Requests\r\n" + wrong + said)) as whop:
        response = await transport.send(post(whop.url()))
    assert response == Response(
        status=429,
        headers={"X-Größe": "7", "Retry-After": "30", "X-Key": "***", "Content-Length": "17"},
        body='{"success":false}',
    )


async def test_a_header_that_stands_there_twice_is_kept_whole(transport: Transport) -> None:
    async with serve(pieces(ACCEPTED + b"Retry-After: 5\r\nRetry-After: 120\r\n" + EMPTY)) as whop:
        response = await transport.send(post(whop.url()))
    assert isinstance(response, Response)
    assert response.headers["Retry-After"] == "5, 120"


async def test_a_connection_broken_off_within_the_body_does_not_take_an_acceptance_back(
    transport: Transport,
) -> None:
    async def answer(writer: asyncio.StreamWriter) -> None:
        await pieces(ACCEPTED + b"Content-Length: 100\r\n\r\n{", keep=True)(writer)
        await reset(writer)

    async with serve(answer) as whop:
        response = await transport.send(post(whop.url()))
    assert isinstance(response, Response)
    assert response.status == 202


@pytest.mark.parametrize(
    ("answer", "body"),
    [
        (pieces(ACCEPTED + b"Content-Length: 100\r\n\r\n{", keep=True, outlast=True), "{"),
        # aiohttp drops the connection at the wrong chunk, but lets the reader wait for more.
        (pieces(ACCEPTED + b"Transfer-Encoding: chunked\r\n\r\n", b"no chunk\r\n", outlast=True), ""),
    ],
)
async def test_a_body_that_never_ends_in_time_does_not_take_an_acceptance_back(
    transport: Transport, answer: Answer, body: str
) -> None:
    async with serve(answer) as whop:
        response = await transport.send(post(whop.url()))
    assert isinstance(response, Response)
    assert (response.status, response.body) == (202, body)


async def test_an_endless_body_ends_at_the_bound(transport: Transport) -> None:
    for request, limit in ((post, BODY_LIMIT), (get, READ_LIMIT)):
        async with serve(endless(ACCEPTED + b"\r\n", b"x" * 65536)) as whop:
            response = await transport.send(request(whop.url()))
        assert isinstance(response, Response)
        assert (response.status, len(response.body)) == (202, limit)


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (endless(ACCEPTED + b"X: ", b"x"), "it took too long"),
        (endless(b"", b"HTTP/1.1 103 Early Hints\r\n\r\n" * 100), "it took too long"),
    ],
    ids=["a header that drips", "early hints"],
)
async def test_an_answer_that_never_begins_ends_in_time(
    transport: Transport, answer: Answer, reason: str
) -> None:
    async with serve(answer) as whop:
        said = await transport.send(post(whop.url()))
    assert said == NoAnswer(reason=reason, bytes_left=True)


async def test_a_body_that_drips_ends_in_time_and_does_not_take_an_acceptance_back(
    transport: Transport,
) -> None:
    async with serve(endless(ACCEPTED + b"\r\n", b"x")) as whop:
        response = await transport.send(post(whop.url()))
    assert isinstance(response, Response)
    assert (response.status, set(response.body)) == (202, {"x"})


async def test_a_gzip_bomb_does_not_go_off(transport: Transport) -> None:
    bomb = gzip.compress(bytes(100 * 1024 * 1024), compresslevel=1)
    head = ACCEPTED + f"Content-Encoding: gzip\r\nContent-Length: {len(bomb)}\r\n\r\n".encode()
    async with serve(pieces(head + bomb)) as whop:
        response = await transport.send(post(whop.url()))
    assert isinstance(response, Response)
    assert (response.status, len(response.body) <= BODY_LIMIT) == (202, True)


async def test_a_body_is_never_unpacked_so_that_a_small_one_cannot_grow(transport: Transport) -> None:
    async with serve(pieces(ACCEPTED + b"Content-Encoding: gzip\r\nContent-Length: 3\r\n\r\nabc")) as whop:
        response = await transport.send(post(whop.url()))
    assert isinstance(response, Response)
    assert response.body == "abc"


async def test_an_answer_before_all_was_read_is_the_answer(transport: Transport) -> None:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 413 Too Large\r\n" + EMPTY)
        await hung_up.wait()
        writer.close()

    hung_up = asyncio.Event()
    narrow = socket.socket()
    narrow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    narrow.bind(("127.0.0.1", 0))
    async with await asyncio.start_server(handle, sock=narrow, limit=4096):
        url = f"http://127.0.0.1:{narrow.getsockname()[1]}/"
        response = await transport.send(post(url, body=b"x" * 1_000_000))
        hung_up.set()
    assert isinstance(response, Response)
    assert response.status == 413


# --- what has become too late -------------------------------------------------------------------------


async def test_what_may_not_leave_any_more_does_not_and_says_so(transport: Transport) -> None:
    heard: list[bytes] = []
    hung_up = asyncio.Event()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(await reader.read())
        writer.close()
        hung_up.set()

    async with await asyncio.start_server(handle, "127.0.0.1", 0) as listening:
        url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}/"
        answer = await transport.send(post(url), may_leave=lambda: False)
        await hung_up.wait()
    assert answer == NoAnswer(reason="it took too long to begin", bytes_left=False)
    assert heard == [b""]


async def test_whether_it_may_leave_is_asked_once_when_the_connection_stands(transport: Transport) -> None:
    connections: list[int] = []

    def may_leave() -> bool:
        connections.append(whop.connections)
        return True

    async with serve(pieces(ACCEPTED + EMPTY)) as whop:
        answer = await transport.send(post(whop.url()), may_leave=may_leave)
    assert isinstance(answer, Response)
    assert len(connections) == 1
    assert len(whop.received) == 1


async def test_where_there_is_no_connection_nobody_asks_whether_it_may_leave(transport: Transport) -> None:
    async with serve(say_nothing) as gone:
        pass
    asked: list[bool] = []

    def may_leave() -> bool:
        asked.append(True)
        return True

    await transport.send(post(gone.url()), may_leave=may_leave)
    assert asked == []


# --- once, and to nobody else ---------------------------------------------------------------------------


@pytest.mark.parametrize("status", [408, 409, 425, 429, 500, 502, 503, 504])
async def test_no_status_makes_it_send_again(transport: Transport, status: int) -> None:
    answer = pieces(f"HTTP/1.1 {status} No\r\nRetry-After: 0\r\n".encode() + EMPTY)
    async with serve(answer) as whop:
        response = await transport.send(post(whop.url()))
    assert isinstance(response, Response)
    assert (response.status, response.headers["Retry-After"]) == (status, "0")
    assert (whop.connections, len(whop.received)) == (1, 1)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_not_followed_so_that_the_key_stays(transport: Transport, status: int) -> None:
    async with serve(pieces(ACCEPTED + EMPTY)) as elsewhere:
        moved = f"HTTP/1.1 {status} Moved\r\nLocation: {elsewhere.url()}\r\n".encode() + EMPTY
        async with serve(pieces(moved)) as whop:
            response = await transport.send(post(whop.url()))
    assert isinstance(response, Response)
    assert response.status == status
    assert (len(whop.received), elsewhere.connections) == (1, 0)


@pytest.mark.parametrize(
    "url", ["http://{}:{}/", "http://api.whop.com@{}:{}/", "http://[::ffff:127.0.0.1]:{1}/", "HTTP://{}:{}/"]
)
async def test_to_an_address_that_is_none_of_whops_nothing_goes_whatever_the_database_says(
    transport: Transport, url: str
) -> None:
    # The whole of 127.0.0.0/8 is this machine; 0.0.0.0 reaches it too, and stands for a stranger here.
    async with serve(pieces(ACCEPTED + EMPTY)) as stranger:
        answer = await transport.send(post(url.format("0.0.0.0", stranger.port)))
    assert answer == NoAnswer(reason="its address is none of Whop's", bytes_left=False)
    assert stranger.connections == 0


async def test_each_request_has_a_connection_of_its_own(transport: Transport) -> None:
    async with serve(pieces(ACCEPTED + EMPTY, keep=True)) as whop:
        for _ in range(3):
            await transport.send(post(whop.url()))
    assert (whop.connections, len(whop.received)) == (3, 3)


async def test_no_cookie_goes_from_one_answer_into_the_next_request(transport: Transport) -> None:
    # A host name, since cookies of bare addresses are not kept anyway.
    async with serve(pieces(ACCEPTED + b"Set-Cookie: who=herald\r\n" + EMPTY)) as whop:
        for _ in range(2):
            await transport.send(post(whop.url(host="localhost")))
    assert [headers_of(received).get("cookie") for received in whop.received] == [None, None]


async def test_proxies_and_netrc_of_the_environment_are_ignored(
    transport: Transport, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login somebody password else\n")
    netrc.chmod(0o600)
    async with serve(pieces(ACCEPTED + EMPTY)) as proxy, serve(pieces(ACCEPTED + EMPTY)) as whop:
        for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        monkeypatch.delenv("NO_PROXY", raising=False)
        monkeypatch.delenv("no_proxy", raising=False)
        monkeypatch.setenv("NETRC", str(netrc))
        response = await transport.send(post(whop.url()))
    assert isinstance(response, Response)
    assert proxy.connections == 0
    assert headers_of(whop.received[0])["authorization"] == f"Bearer {KEY}"


async def test_cancelling_is_not_swallowed(transport: Transport) -> None:
    async with serve(say_nothing) as whop:
        sending = asyncio.create_task(transport.send(post(whop.url())))
        await whop.reached.wait()
        sending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sending
    assert len(whop.received) == 1


async def test_cancelling_within_the_body_is_not_swallowed(transport: Transport) -> None:
    answered = asyncio.Event()

    async def answer(writer: asyncio.StreamWriter) -> None:
        await pieces(ACCEPTED + b"Content-Length: 100\r\n\r\n{", keep=True)(writer)
        answered.set()

    async with serve(answer) as whop:
        sending = asyncio.create_task(transport.send(post(whop.url())))
        await answered.wait()
        sending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sending


async def test_requests_at_the_same_time_do_not_mix_up_what_left(transport: Transport) -> None:
    async with serve(say_nothing) as gone:
        pass
    async with serve(pieces()) as whop:
        refused, dropped = await asyncio.gather(
            transport.send(post(gone.url())), transport.send(post(whop.url()))
        )
    assert isinstance(refused, NoAnswer)
    assert isinstance(dropped, NoAnswer)
    assert (refused.bytes_left, dropped.bytes_left) == (False, True)


def test_the_key_shows_in_no_description_of_the_transport() -> None:
    transport = Transport(api_key=SecretStr(KEY))
    assert KEY not in f"{transport!r} {transport} {vars(transport)}"
