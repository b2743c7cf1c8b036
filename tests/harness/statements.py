"""The statements that are asked of the databases of this process."""

from collections.abc import Generator
from contextlib import contextmanager
from typing import Any, Final

from sqlalchemy import Engine, event

# What opens a transaction asks nothing; PostgreSQL's driver does it unseen.
BEGINNINGS: Final = ("BEGIN", "SAVEPOINT", "RELEASE")


@contextmanager
def counted() -> Generator[list[str]]:
    """Collect the statements that are executed meanwhile, of all databases."""
    statements: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if not statement.startswith(BEGINNINGS):
            statements.append(" ".join(statement.split())[:160])

    event.listen(Engine, "before_cursor_execute", note)
    try:
        yield statements
    finally:
        event.remove(Engine, "before_cursor_execute", note)
