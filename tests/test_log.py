"""Secrets stay secret: in the log, in every repr, and along a whole journey."""

import io
import json
import logging
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
import structlog
from pydantic import SecretStr

from bot import log
from bot.app import Herald
from bot.policy.model import ACCOUNT
from bot.redaction import HIDDEN
from bot.sandbox.sandbox import API_KEY, Sandbox, answer, readable
from bot.sandbox.whop import Fault
from bot.store import Access
from tests.conftest import MakeSettings, OpenSandbox
from tests.harness.policy import parsed

SHORT = "key-that-must-not-show"
# One contains the other; a quote, a backslash and a percent sign are printed differently by repr.
LONG = f"{SHORT}-and-more"
ODD = "odd\\back%sslash{0}key"
SECRETS = (SHORT, LONG, ODD)


@pytest.fixture(params=["json", "console"])
def output(request: pytest.FixtureRequest) -> io.StringIO:
    return configured(request.param)


def configured(style: str, *, level: str = "debug", secrets: tuple[str, ...] = SECRETS) -> io.StringIO:
    stream = io.StringIO()
    log.configure(level=level, style=style, secrets=secrets, stream=stream)
    return stream


def assert_hidden(text: str) -> None:
    assert HIDDEN in text
    for secret in SECRETS:
        assert secret not in text
        assert repr(secret)[1:-1] not in text
        assert json.dumps(secret)[1:-1] not in text
    assert "and-more" not in text


class Talkative:
    def __init__(self, secret: str) -> None:
        self.secret = secret

    def __repr__(self) -> str:
        return f"Talkative({self.secret!r})"


SHAPES: dict[str, Callable[[str], Any]] = {
    "text": str,
    "inside text": lambda secret: f"Bearer {secret}, or so",
    "list": lambda secret: [secret, 1],
    "tuple": lambda secret: ("a", (secret,)),
    "set": lambda secret: {secret},
    "frozen set": lambda secret: frozenset({secret}),
    "mapping": lambda secret: {"headers": {"Authorization": f"Bearer {secret}"}},
    "mapping of another kind": lambda secret: MappingProxyType({"a": [{"b": secret}]}),
    "key of a mapping": lambda secret: {secret: 1},
    "key of a mapping that is no text": lambda secret: {(secret, 1): 1, secret.encode(): 2},
    "bytes": lambda secret: secret.encode(),
    "bytes in a list": lambda secret: [bytearray(secret.encode())],
    "exception": lambda secret: ValueError(f"bad {secret}"),
    "object": Talkative,
    "path": lambda secret: Path("a") / secret,
    "generator of its own class": lambda secret: type(f"Odd{secret}", (), {}),
}


@pytest.mark.parametrize("secret", SECRETS)
@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_no_secret_survives_in_a_field(output: io.StringIO, shape: Callable[[str], Any], secret: str) -> None:
    structlog.get_logger().info("something happened", field=shape(secret), other=1)
    assert_hidden(output.getvalue())


@pytest.mark.parametrize("secret", SECRETS)
def test_no_secret_survives_in_the_event_the_name_of_a_field_or_the_context(
    output: io.StringIO, secret: str
) -> None:
    with structlog.contextvars.bound_contextvars(context=secret):
        structlog.get_logger(bound=secret).info(f"it is {secret}", **{secret: 1})
        structlog.get_logger().info("it is %s", secret)
    assert_hidden(output.getvalue())


@pytest.mark.parametrize("secret", SECRETS)
def test_no_secret_survives_in_a_traceback(output: io.StringIO, secret: str) -> None:
    held: dict[str, int] = {}
    logger = structlog.get_logger()
    try:
        held[secret] += 1
    except KeyError as cause:
        error = ValueError(f"there is no {secret!r}")
        error.__cause__ = cause
        logger.exception("failed")
        logger.error("failed", exc_info=error)
        logging.getLogger("library").error("failed with %s", error, exc_info=error)
    text = output.getvalue()
    assert text.count("KeyError") >= 3
    assert_hidden(text)


@pytest.mark.parametrize("secret", SECRETS)
def test_no_secret_survives_in_a_librarys_record(output: io.StringIO, secret: str) -> None:
    library = logging.getLogger("library")
    library.warning("sent %s with %r", secret, {"Authorization": [secret.encode()]})
    library.warning("sent %(key)s", {"key": secret})
    library.warning(f"sent {secret}", extra={"key": secret}, stack_info=True)
    assert_hidden(output.getvalue())


@pytest.mark.parametrize("style", ["json", "console"])
@pytest.mark.parametrize("secret", SECRETS)
def test_a_record_that_cannot_be_written_is_not_printed_raw(
    capsys: pytest.CaptureFixture[str], style: str, secret: str
) -> None:
    # Configured here and not in a fixture: pytest's own handlers would raise.
    output = configured(style)

    class Broken:
        def __repr__(self) -> str:
            raise ValueError(secret)

    logging.getLogger("library").warning("sent %d", secret)
    logging.getLogger("library").warning("sent", *[secret])
    structlog.get_logger().warning("sent", key=secret, broken=Broken())
    printed = capsys.readouterr()
    assert secret not in output.getvalue() + printed.out + printed.err
    assert "could not be written" in output.getvalue()


def test_what_is_no_secret_is_not_touched() -> None:
    output = configured("json")
    structlog.get_logger().info("sent", count=3, part=0.5, done=True, nothing=None, words="ké", row=[1, "a"])
    event = json.loads(output.getvalue())
    expected = {"count": 3, "part": 0.5, "done": True, "nothing": None, "words": "ké", "row": [1, "a"]}
    assert {name: event[name] for name in expected} == expected
    assert event["level"] == "info"


def test_an_empty_secret_hides_nothing() -> None:
    output = configured("json", secrets=("",))
    structlog.get_logger().info("sent")
    assert json.loads(output.getvalue())["event"] == "sent"


def test_json_is_one_line_for_each_event() -> None:
    output = configured("json")
    structlog.get_logger().info("two\nlines", text="a\r\nb\u2028c\x85d\x0be")
    logging.getLogger("library").warning("two\nlines")
    logging.getLogger("library").error("failed", exc_info=ValueError("two\nlines"))
    lines = output.getvalue().splitlines()
    assert [json.loads(line)["event"] for line in lines] == ["two\nlines", "two\nlines", "failed"]


def test_values_cannot_forge_a_line_of_the_console() -> None:
    output = configured("console")
    structlog.get_logger().info("sent", words="\n2026-11-23 [error] forged", more="a\u2028b\x1b[31m")
    assert len(output.getvalue().splitlines()) == 1
    assert "\x1b" not in output.getvalue()


def test_what_is_written_from_the_right_does_not_turn_a_line_of_the_console() -> None:
    output = configured("console")
    structlog.get_logger().info("sent", server="משה 5 דוד", person="א", broadcast=7)
    assert "broadcast=7 person=\u2068א\u2069 server='\u2068משה 5 דוד\u2069'" in output.getvalue()


def test_the_level_counts_for_herald_and_the_frames_of_libraries_are_never_logged() -> None:
    output = configured("json", level="info")
    structlog.get_logger().debug("too much")
    for name in (
        "discord.gateway",
        "discord.http",
        "aiohttp.client",
        "sqlalchemy.engine",
        "aiosqlite",
        "psycopg",
    ):
        logging.getLogger(name).info("a frame")
    structlog.get_logger().info("this")
    assert [json.loads(line)["event"] for line in output.getvalue().splitlines()] == ["this"]
    configured("json", level="debug")
    assert not logging.getLogger("discord.http").isEnabledFor(logging.DEBUG)


# --- objects ---------------------------------------------------------------------------------------


async def test_no_object_of_herald_shows_a_secret(make_settings: MakeSettings) -> None:
    settings = make_settings(discord_token=SHORT, whop_api_key=LONG, whop_api="v1")
    async with Herald.open(settings, parsed()) as herald:
        transport = herald.dispatcher._transports[ACCOUNT]  # pyright: ignore[reportPrivateUsage]
        for thing in (
            settings,
            herald,
            transport,
            transport.__dict__,
            herald.client,
            herald.service,
            herald.service.lifecycle.accounts[ACCOUNT].gateway,
            herald.dispatcher,
            herald.announcer,
            herald.store,
            settings.model_dump(),
            settings.model_dump_json(),
        ):
            assert SHORT not in f"{thing!r} {thing!s}"


async def test_the_log_of_settings_shows_no_secret_even_unredacted(make_settings: MakeSettings) -> None:
    output = configured("json", secrets=())
    settings = make_settings(discord_token=SHORT, whop_api_key=LONG)
    structlog.get_logger().info("start", settings=settings, key=SecretStr(LONG))
    assert SHORT not in output.getvalue()
    assert "exp" not in json.loads(output.getvalue())["key"]


# --- a journey -------------------------------------------------------------------------------------

TOKEN = "sandbox-token"


@pytest.mark.parametrize(
    ("generation", "fault"),
    [
        ("v5", Fault.UNAUTHORIZED),
        ("v5", Fault.SERVER_ERROR),
        ("v1", Fault.DROP_AFTER_ACCEPT),
        ("v1", Fault.SLOW),
        ("v1", Fault.UNAUTHORIZED),
    ],
)
async def test_no_secret_leaves_on_a_journey(
    open_sandbox: OpenSandbox, tmp_path: Path, generation: str, fault: Fault
) -> None:
    # Nothing is redacted here: what must not be in the log is not even given to it.
    output = configured("json", secrets=())
    async with open_sandbox(generation, slow_seconds=0.01) as sandbox:
        sandbox.whop.fail_next(fault)
        draft = await sandbox.compose()
        answers = [draft, await sandbox.submit(draft, note="now"), await sandbox.press("Omar", "Approve")]
        await sandbox.wait(timedelta(seconds=11))
        assert len(sandbox.whop.exchanges) == 1
        seen = _everything_that_left(sandbox) + "".join(answer(one) for one in answers)
        stored = _bytes_in(tmp_path)
    logged = output.getvalue()
    assert "delivery attempted" in logged
    assert "Bearer ***" in seen
    assert b"We are live" in stored
    for secret in (TOKEN, API_KEY):
        assert secret not in logged
        assert secret not in seen
        assert secret.encode() not in stored


def _everything_that_left(sandbox: Sandbox) -> str:
    channels = [text for name in sandbox.world.channels for text in sandbox.texts(name)]
    return "\n".join(
        [
            *channels,
            repr(sandbox.world.env.http_requests),
            sandbox.world.env.transcript(),
            repr(sandbox.whop.exchanges),
            repr(sandbox.whop.pushes),
        ]
    )


def _bytes_in(folder: Path) -> bytes:
    return b"".join(file.read_bytes() for file in sorted(folder.glob("herald.db*")))


async def test_one_proof_code_stands_everywhere_from_the_draft_to_the_result(sandbox: Sandbox) -> None:
    output = configured("json", secrets=())
    draft = await sandbox.compose()
    said = [answer(draft), answer(await sandbox.submit(draft))]
    said.append(readable(sandbox.review_card()))
    said.append(answer(await sandbox.press("Omar", "Approve")))
    await sandbox.wait(timedelta(seconds=11))
    said += [readable(sandbox.review_card()), sandbox.newest("moderators"), *sandbox.texts("audit")]

    with sandbox.herald.store.begin(Access.READ) as tx:
        proof = (tx.broadcasts.get(1)).proof
        events = tx.audit.of_guild(sandbox.world.guild.id)
    assert [one for one in said if f"proof {proof}" not in one] == []
    assert {event.proof for event in events} == {proof}
    logged = [json.loads(line) for line in output.getvalue().splitlines()]
    acted = [(one["event"], one.get("action")) for one in logged if one.get("proof") == proof]
    assert acted == [
        ("a person acted", "submit"),
        ("a person acted", "approve"),
        ("delivery attempted", None),
    ]
    assert "Omar" not in output.getvalue()
