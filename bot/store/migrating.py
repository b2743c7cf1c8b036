"""Bringing the database up to date; Alembic is read only where there is something to do."""

from pathlib import Path
from typing import TYPE_CHECKING, Final

from sqlalchemy import Connection, inspect, text

if TYPE_CHECKING:
    from alembic.config import Config

MIGRATIONS: Final = Path(__file__).with_name("migrations")


class NewerDatabase(Exception):
    """The database has a migration that this Herald does not know."""


def migrate(connection: Connection) -> None:
    """Apply the migrations that the database does not have yet; raise NewerDatabase."""
    if is_current(connection):
        return
    # Reading Alembic takes a third of a start, and nearly every start finds nothing to do.
    from alembic import command  # noqa: PLC0415

    config = _configuration()
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def is_current(connection: Connection) -> bool:
    """Tell whether the database has all migrations; raise NewerDatabase if it has one of a newer Herald."""
    found = _applied(connection)
    known = sorted(path.name[:4] for path in (MIGRATIONS / "versions").glob("[0-9]*.py"))
    if found is not None and found not in known:
        raise NewerDatabase(found)
    return found == known[-1]


def _applied(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    return connection.scalar(text("SELECT version_num FROM alembic_version"))


def _configuration() -> "Config":
    # For the same reason as above: only what migrates reads it.
    from alembic.config import Config  # noqa: PLC0415

    config = Config()
    # A percent sign would be taken for the beginning of a variable.
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    return config
