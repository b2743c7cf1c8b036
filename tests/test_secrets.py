"""No secret leaves Herald on any path that fails, in any spelling: every command, output, card and file."""

import asyncio
import json
import logging
import os
import pickle
import re
import socket
import sqlite3
import subprocess
import sys
from base64 import urlsafe_b64decode
from collections.abc import AsyncGenerator, Callable, Generator, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, closing
from dataclasses import dataclass, field
from datetime import timedelta
from io import StringIO
from pathlib import Path
from typing import Final
from urllib.parse import quote, unquote

import aiohttp
import pytest
import structlog
import typer
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from bot import log
from bot.app import Herald
from bot.audit.export import FORMATS, Header
from bot.chat.members import RestRoles
from bot.cli.commands import cli
from bot.clock import utc_now
from bot.delivery import Response
from bot.errors import StoreError
from bot.health import Health
from bot.metrics import Metrics
from bot.policy.loading import parse_policy
from bot.policy.model import ACCOUNT
from bot.redaction import HIDDEN, Redaction
from bot.sandbox.sandbox import UNDONE, Sandbox, answer
from bot.settings import Settings
from bot.store import Access, Store
from bot.whop import Account, gateway_for
from bot.whop.transport import Transport
from tests.conftest import MakeSettings, OpenSandbox
from tests.database import new_file
from tests.hostile import echo, postgres, spellings
from tests.test_preflight import policy_text

ROOT: Final = Path(__file__).parents[1]
TOKEN: Final = "MTA0.DISCORDsecretwords_9-x"
KEY: Final = "whop+KEYsecretwords/9=="
PASSWORD: Final = "pa/ss PASSsecretwords%"
SPELT_PASSWORD: Final = quote(PASSWORD, safe="")
# What is left of each of them in every spelling that is undone below.
CORES: Final = ("discordsecretwords", "keysecretwords", "passsecretwords")
CODED: Final = re.compile(r"[A-Za-z0-9+/_-]{12,}")


def leaks(text: str) -> list[str]:
    """Return the secrets that someone finds who tries: in any case, escaped, or in Base64."""
    unescaped = re.sub(r"\\+u00([0-9a-fA-F]{2})", lambda match: chr(int(match[1], 16)), text)
    views = [text, unquote(text), unescaped, *_decoded(text)]
    return [core for core in CORES if any(core in view.lower() for view in views)]


def _decoded(text: str) -> Iterator[str]:
    for match in CODED.finditer(text):
        run = match[0].translate(str.maketrans("+/", "-_"))
        for offset in range(4):
            yield urlsafe_b64decode(_whole(run[offset:])).decode("latin-1")


def _whole(piece: str) -> str:
    # A single letter more than whole groups is no byte.
    piece = piece[:-1] if len(piece) % 4 == 1 else piece
    return piece + "=" * (-len(piece) % 4)


@pytest.mark.parametrize("secret", [TOKEN, KEY, PASSWORD])
def test_whoever_looks_finds_each_secret_in_each_spelling(secret: str) -> None:
    for spelling in spellings(secret):
        assert leaks(f"it is <{spelling}>."), spelling
    assert leaks("it is secret words") == []


# --- every command that fails ----------------------------------------------------------------------

COMMANDS: Final[Mapping[str, Sequence[str]]] = {
    "run": (),
    "worker": (),
    "check": (),
    "prove-key": ("user_maya", "exp_gold", "--yes"),
    "migrate": (),
    "freeze": ("a reason",),
    "unfreeze": (),
    "show": ("1",),
    "audit verify": ("--mirror",),
    "audit anchor": (),
    "audit export": ("--output", "out.jsonl"),
}
# What has no secret to lose, and why.
WITHOUT_SECRETS: Final[Mapping[str, str]] = {"sandbox": "it reads no settings, and its keys are made up"}
READING_THE_POLICY: Final = [name for name in COMMANDS if name not in {"prove-key", "migrate"}]
OF_THE_DATABASE: Final = [name for name in COMMANDS if name != "check"]


@dataclass(slots=True)
class Place:
    """Where a command runs: what it reads, and whom it can reach."""

    folder: Path
    variables: dict[str, str]
    lines: str = ""
    policy: str = policy_text("v1")
    # Nobody listens on the port of an address that is bound and given back.
    discord: str = "http://127.0.0.1:1/api/v10"
    broken: str = ""

    def write(self) -> None:
        env = "".join(f"{name}={value}\n" for name, value in self.variables.items())
        (self.folder / ".env").write_text(env + self.lines, "utf-8")
        (self.folder / "herald.toml").write_text(self.policy, "utf-8")


Arrange = Callable[[Place], AbstractAsyncContextManager[None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """What is wrong, for which commands, and what a run says that would not end by itself."""

    arrange: Arrange
    commands: Sequence[str] = tuple(COMMANDS)
    until: Mapping[str, str] = field(default_factory=dict[str, str])


def change(**variables: str) -> Arrange:
    return _arranged(lambda place: place.variables.update(variables))


def add(line: str) -> Arrange:
    return _arranged(lambda place: setattr(place, "lines", line))


def write_policy(text: str) -> Arrange:
    return _arranged(lambda place: setattr(place, "policy", text))


def break_(where: str) -> Arrange:
    return _arranged(lambda place: setattr(place, "broken", where))


def _arranged(do: Callable[[Place], None]) -> Arrange:
    @asynccontextmanager
    async def arrange(place: Place) -> AsyncGenerator[None, None]:
        do(place)
        yield

    return arrange


@asynccontextmanager
async def lock_the_database(place: Place) -> AsyncGenerator[None, None]:
    (place.folder / "data").mkdir()
    with closing(sqlite3.connect(place.folder / "data" / "herald.db", isolation_level=None)) as database:
        database.execute("CREATE TABLE theirs (id)")
        database.execute("BEGIN EXCLUSIVE")
        yield


@asynccontextmanager
async def refuse_the_password(place: Place) -> AsyncGenerator[None, None]:
    async with postgres() as port:
        place.variables["DATABASE_URL"] = server_at(f"127.0.0.1:{port}")
        yield


def echo_at_whop(status: int) -> Arrange:
    @asynccontextmanager
    async def arrange(place: Place) -> AsyncGenerator[None, None]:
        async with echo(status) as origin:
            place.variables["WHOP_BASE_URL"] = origin
            yield

    return arrange


def echo_at_discord(status: int) -> Arrange:
    @asynccontextmanager
    async def arrange(place: Place) -> AsyncGenerator[None, None]:
        async with echo(status) as origin:
            place.discord = f"{origin}/api/v10"
            yield

    return arrange


def server_at(host: str) -> str:
    return f"postgresql+psycopg://herald:{SPELT_PASSWORD}@{host}/herald"


AWAY: Final = {"run": "Discord is out of reach"}
FAULTS: Final[Mapping[str, Fault]] = {
    "a secret with spaces": Fault(arrange=change(DISCORD_TOKEN=f"Bot {TOKEN}", WHOP_API_KEY=f"Bearer {KEY}")),
    "a generation that does not exist": Fault(arrange=change(WHOP_API=KEY)),
    "a level that does not exist": Fault(arrange=change(LOG_LEVEL=TOKEN)),
    "the key in the address of Whop": Fault(arrange=change(WHOP_BASE_URL=f"https://x:{KEY}@api.whop.com")),
    "a password for another database": Fault(arrange=change(DATABASE_URL=f"mysql://u:{PASSWORD}@h/db")),
    "a password with an unspelt @": Fault(
        arrange=change(DATABASE_URL="postgresql+psycopg://u:x@PASSsecretwords@127.0.0.1:1/herald")
    ),
    "a password in the query": Fault(
        arrange=change(DATABASE_URL="postgresql+psycopg://u@127.0.0.1:1/db?sslpassword=PASSsecretwords")
    ),
    "a secret without its name": Fault(arrange=add(TOKEN)),
    "a secret in place of a name": Fault(arrange=add("whop_9KEYsecretwords=1\nHERALD-DISCORDsecretwords=1")),
    "a secret without an equals sign": Fault(arrange=add(f"DISCORD_TOKEN {TOKEN}")),
    "a quote that never ends": Fault(arrange=add(f"LOG_FORMAT='{KEY}\n")),
    "a secret in the policy": Fault(
        arrange=write_policy(f'whop_api_key = "{KEY}"\n' + policy_text("v1")), commands=READING_THE_POLICY
    ),
    "a policy that is no TOML": Fault(
        arrange=write_policy(f'discord_token = "{TOKEN}\n{KEY}'), commands=READING_THE_POLICY
    ),
    "a secret in place of an id": Fault(
        arrange=write_policy(policy_text("v1").replace("exp_gold", KEY)), commands=READING_THE_POLICY
    ),
    "a database that nobody serves": Fault(
        arrange=change(DATABASE_URL=server_at("127.0.0.1:1")), commands=OF_THE_DATABASE
    ),
    "a server that repeats the wrong password": Fault(arrange=refuse_the_password),
    "a database that is locked": Fault(arrange=lock_the_database, commands=OF_THE_DATABASE),
    "a Discord that is away": Fault(arrange=change(), commands=["run", "check"], until=AWAY),
    "a Discord that repeats the token it refuses": Fault(
        arrange=echo_at_discord(401), commands=["run", "check"]
    ),
    "a Discord that repeats the token": Fault(
        arrange=echo_at_discord(400), commands=["run", "check"], until=AWAY
    ),
    **{
        f"a Whop that repeats the key with {status}": Fault(
            arrange=echo_at_whop(status), commands=["check", "prove-key"]
        )
        for status in (302, 400, 401, 429, 500)
    },
    "a fault before the secrets are known": Fault(arrange=break_("bot.settings.parse_stream")),
    "a fault after that": Fault(arrange=break_("asyncio.run")),
}
ROWS: Final = [(name, command) for name, fault in FAULTS.items() for command in fault.commands]


def commands_of(app: typer.Typer, prefix: str = "") -> Iterator[str]:
    for command in app.registered_commands:
        assert command.callback is not None
        yield prefix + (command.name or command.callback.__name__.replace("_", "-"))
    for group in app.registered_groups:
        assert group.typer_instance is not None
        yield from commands_of(group.typer_instance, f"{group.typer_instance.info.name} ")


def test_every_command_of_herald_is_run_below() -> None:
    assert {*COMMANDS, *WITHOUT_SECRETS} == set(commands_of(cli))
    assert {command for _, command in ROWS} == set(COMMANDS)


Run = Callable[[Place, Sequence[str], str], tuple[int, str]]


@pytest.fixture(scope="module")
def herald() -> Generator[Run, None, None]:
    """Run a command in a process of its own; return its status, and all that it wrote anywhere."""
    with subprocess.Popen(
        [sys.executable, "-m", "tests.warm"],
        cwd=ROOT, env={"PATH": os.defpath, "PYTHONUTF8": "1", "COLUMNS": "200"},
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    ) as warm:  # fmt: skip

        def run(place: Place, arguments: Sequence[str], until: str) -> tuple[int, str]:
            assert warm.stdin is not None
            assert warm.stdout is not None
            place.write()
            outputs = {name: str(place.folder / name) for name in ("stdout", "stderr")}
            variables = {"PATH": os.defpath, "PYTHONUTF8": "1", "COLUMNS": "200"}
            job = {
                "folder": str(place.folder), "arguments": arguments, "variables": variables, "until": until,
                "discord": place.discord, "broken": place.broken, "words": f"{TOKEN} {KEY}",
                "stdin": os.devnull, **outputs,
            }  # fmt: skip
            warm.stdin.write(json.dumps(job) + "\n")
            warm.stdin.flush()
            return int(warm.stdout.readline()), written(place.folder)

        yield run
        assert warm.stdin is not None
        warm.stdin.close()


def written(folder: Path) -> str:
    """Return all that stands in a folder, but for what was there to be read."""
    files = (file for file in sorted(folder.rglob("*")) if file.is_file())
    return "\n".join(
        file.read_bytes().decode("latin-1") for file in files if file.name not in {".env", "herald.toml"}
    )


@pytest.mark.parametrize(("name", "command"), ROWS)
async def test_no_command_that_fails_shows_a_secret(
    herald: Run, tmp_path: Path, name: str, command: str
) -> None:
    secrets = {"DISCORD_TOKEN": TOKEN, "WHOP_API_KEY": KEY, "WHOP_API": "v1"}
    more = {"HEALTH_ADDRESS": "127.0.0.1:0", "LOG_LEVEL": "debug", "WHOP_BASE_URL": "http://127.0.0.1:1"}
    fault, place = FAULTS[name], Place(tmp_path, secrets | more)
    until = fault.until.get(command, "")
    async with fault.arrange(place):
        arguments = [*command.split(), *COMMANDS[command]]
        status, said = await asyncio.to_thread(herald, place, arguments, until)
    assert status == 0 if until else status in {1, 2}, said
    assert until in said
    assert leaks(said) == [], said


# --- the log ---------------------------------------------------------------------------------------

LIBRARIES: Final = (
    "discord.http", "discord.gateway", "discord.client", "discord.ext.commands", "aiohttp.client",
    "aiohttp.server", "aiohttp.access", "sqlalchemy.engine.Engine", "sqlalchemy.pool", "alembic.runtime",
    "asyncio", "aiosqlite", "psycopg", "psycopg.pool", "simcord", "filelock", "urllib3",
)  # fmt: skip


@pytest.mark.parametrize("style", ["json", "console"])
@pytest.mark.parametrize("level", ["debug", "info", "warning", "error"])
def test_no_library_tells_a_secret_at_any_level(style: str, level: str) -> None:
    stream = StringIO()
    log.configure(level=level, style=style, secrets=(TOKEN, KEY, PASSWORD), stream=stream)
    for name in LIBRARIES:
        for number in (logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR, logging.CRITICAL):
            for secret in (TOKEN, KEY, PASSWORD):
                for spelling in spellings(secret):
                    logging.getLogger(name).log(number, "sent %s", {"Authorization": spelling})
    assert HIDDEN in stream.getvalue()
    assert leaks(stream.getvalue()) == []


@pytest.mark.parametrize("style", ["json", "console"])
def test_no_secret_of_a_local_variable_a_note_or_a_cause_is_in_a_traceback(style: str) -> None:
    stream = StringIO()
    log.configure(level="debug", style=style, secrets=(TOKEN, KEY, PASSWORD), stream=stream)

    def fail(token: str) -> None:
        headers = {"Authorization": f"Bearer {token}"}
        try:
            raise LookupError(headers, spellings(KEY))  # noqa: TRY301 - a cause with all of it
        except LookupError as cause:
            error = ExceptionGroup("both", [ValueError(PASSWORD), OSError(5, token, KEY)])
            error.add_note(f"{headers!r} {quote(KEY)}")
            raise error from cause

    try:
        fail(TOKEN)
    except ExceptionGroup as error:
        structlog.get_logger().exception("failed", error=error, arguments=error.args)
        logging.getLogger("asyncio").error("never retrieved", exc_info=error)
    assert stream.getvalue().count("LookupError") >= 2
    assert leaks(stream.getvalue()) == []


@given(
    st.text("!#$%&()*+,-./09:;=?@AZ[]^_az{|}~\\\"'é ", min_size=9, max_size=40),
    st.text("ab/% \"'+=", max_size=9),
    st.text("ab/% \"'+=", max_size=9),
)
def test_any_secret_is_struck_out_of_any_text_in_every_spelling(
    secret: str, before: str, behind: str
) -> None:
    redaction = Redaction([secret, ""])
    for spelling in spellings(secret):
        assert HIDDEN in redaction(f"{before} {spelling} {behind}")
        assert secret not in redaction(f"{before} {spelling} {behind}")


def test_what_is_no_secret_is_left_as_it_is() -> None:
    assert Redaction([KEY])("Whop answered 401: KEY whop+ 9== %2B") == "Whop answered 401: KEY whop+ 9== %2B"
    assert Redaction([])("anything") == "anything"


# --- objects ---------------------------------------------------------------------------------------


def shown(thing: object) -> str:
    """Return all that a careless line of code could make of an object, its pickle included."""
    try:
        pickled = pickle.dumps(thing).decode("latin-1")
    except Exception as error:  # noqa: BLE001 - what cannot be pickled leaks nothing but the reason
        pickled = repr(error)
    return f"{thing!r} {thing!s} {thing:} {getattr(thing, '__dict__', '')!r} {pickled}"


async def test_no_object_gives_a_secret_away_not_even_pickled(make_settings: MakeSettings) -> None:
    settings = make_settings(discord_token=TOKEN, whop_api_key=KEY, whop_api="v1")
    remote = make_settings(discord_token=TOKEN, whop_api_key=KEY, database_url=server_at("127.0.0.1:1"))
    gateway = gateway_for("v1", origin=settings.whop_base_url)
    async with Herald.open(settings, parse_policy(policy_text("v1"), name="herald.toml")) as herald:
        things = [
            settings, remote, settings.model_copy(), repr(settings.model_dump()), settings.model_dump_json(),
            remote.database, remote.model_dump(mode="json"), Transport(api_key=SecretStr(KEY)),
            Account.of(gateway, origin=settings.whop_base_url, api_key=SecretStr(KEY)),
            herald.service.lifecycle.accounts,
            RestRoles(SecretStr(TOKEN)), herald, herald.client, herald.client.http, herald.store,
            herald.service, herald.dispatcher, herald.announcer, herald.startup,
        ]  # fmt: skip
    for thing in things:
        assert leaks(shown(thing)) == [], thing


@pytest.mark.parametrize("make", [Settings, Transport])
def test_what_holds_a_secret_refuses_to_be_pickled(make: type, make_settings: MakeSettings) -> None:
    thing = make_settings() if make is Settings else Transport(api_key=SecretStr(KEY))
    with pytest.raises(TypeError, match="not pickled"):
        pickle.dumps(thing)


# --- a Whop that repeats the key -------------------------------------------------------------------


@pytest.mark.parametrize("status", [302, 400, 401, 409, 429, 500])
@pytest.mark.parametrize("generation", ["v1", "v5"])
async def test_a_whop_that_repeats_the_key_makes_nobody_else_tell_it(
    open_sandbox: OpenSandbox, tmp_path: Path, generation: str, status: int
) -> None:
    stream = StringIO()
    # Nothing is redacted here: what must not be in the log is not even given to it.
    log.configure(level="debug", style="json", secrets=(), stream=stream)
    async with open_sandbox(generation) as sandbox, echo(status) as origin:
        await moved_to(sandbox, origin)
        draft = await sandbox.compose()
        answers = [draft, await sandbox.submit(draft), await sandbox.press("Omar", "Approve")]
        await sandbox.wait(UNDONE)
        # How many people it reaches is asked for some times where Whop may tell it later.
        for _ in range(6):
            await sandbox.wait(timedelta(minutes=2))
        shown = await sandbox.person("Maya").slash(
            sandbox.channel("moderators"), "notify show", broadcast="1"
        )
        seen = [*map(answer, [*answers, shown]), *everything_seen(sandbox), *await exported(sandbox)]
        assert "denied \\*\\*\\*" in "".join(sandbox.texts("audit"))
    assert "delivery attempted" in stream.getvalue()
    assert leaks("\n".join([*seen, stream.getvalue(), written(tmp_path)])) == []


async def moved_to(sandbox: Sandbox, origin: str) -> None:
    """Start Herald again with the marked secrets and that address of Whop."""
    update = {"whop_base_url": origin, "whop_api_key": SecretStr(KEY), "discord_token": SecretStr(TOKEN)}
    sandbox.settings = sandbox.settings.model_copy(update=update)
    await sandbox.restart()


def everything_seen(sandbox: Sandbox) -> list[str]:
    texts = [text for name in sandbox.world.channels for text in sandbox.texts(name)]
    return [*texts, repr(sandbox.world.env.http_requests), sandbox.world.env.transcript()]


async def exported(sandbox: Sandbox) -> list[str]:
    header = Header(at="", servers={}, filters={})
    address = sandbox.settings.database_url.get_secret_value()
    with Store.open_to_read(address) as store, store.begin(Access.READ) as tx:
        lines = [line for some in tx.audit.lines() for line in some]
    return [form.lines(header, lines) for form in FORMATS.values()]


@pytest.mark.parametrize("broken", ["read", "build"])
async def test_a_fault_of_our_own_with_the_key_in_it_ends_on_no_card(
    open_sandbox: OpenSandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError(f"no {KEY}", {"Authorization": KEY})

    async with open_sandbox("v1", tolerant=True) as sandbox:
        await sandbox.approved()
        monkeypatch.setattr(type(sandbox.herald.service.lifecycle.accounts[ACCOUNT].gateway), broken, fail)
        try:
            await sandbox.wait(UNDONE)
        except RuntimeError:
            # It ends the dispatcher, and with it the process: main tells it without the key.
            assert broken == "build"
        seen = [*everything_seen(sandbox), *await exported(sandbox)]
    assert leaks("\n".join([*seen, written(tmp_path)])) == []


async def test_an_answer_holds_no_key_whoever_prints_it() -> None:
    async with echo(401) as origin, Transport(api_key=SecretStr(KEY)) as transport:
        (probe, *_) = gateway_for("v5", origin=origin).probes(parse_policy(policy_text("v5"), name=""))
        received = await transport.send(probe.request)
    assert isinstance(received, Response)
    assert HIDDEN in received.body
    assert leaks(repr(received)) == []


class Telling(Metrics):
    """Numbers that cannot be read, for a reason that has a secret in it."""

    async def read(self) -> bytes:
        raise StoreError(f"no connection with {KEY}")


@pytest.mark.parametrize(("path", "status"), [("health", 500), ("metrics", 503)])
async def test_the_pages_for_operators_say_nothing_of_a_fault_with_a_secret(
    tmp_path: Path, path: str, status: int
) -> None:
    def check() -> dict[str, bool]:
        raise RuntimeError(KEY)

    stream = StringIO()
    log.configure(level="debug", style="json", secrets=(KEY,), stream=stream)
    policy = parse_policy(policy_text("v1"), name="")
    async with Store.open(new_file(tmp_path)) as store:
        metrics = Telling(store=store, policy=policy, clock=utc_now)
        async with (
            Health("127.0.0.1:0", {"part": check}, metrics) as page,
            aiohttp.ClientSession() as session,
            session.get(f"http://127.0.0.1:{page.port}/{path}") as received,
        ):
            assert received.status == status
            assert leaks(await received.text()) == []
    assert leaks(stream.getvalue()) == []


def test_a_port_that_nobody_serves_is_really_closed() -> None:
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", 1)) != 0
