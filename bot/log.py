"""The log: one pipeline for Herald and its libraries, in which no secret survives."""

import json
import logging
import re
import sys
from collections.abc import Mapping, MutableMapping, Sequence
from contextlib import suppress
from typing import Any, Final, TextIO, cast

import structlog
from structlog.typing import Processor
from typing_extensions import override

HIDDEN: Final = "***"


class Redaction:
    """Replace known secrets wherever they stand in an event; a structlog processor."""

    def __init__(self, secrets: Sequence[str]) -> None:
        # The longer first, since it may contain the shorter.
        known = sorted((secret for secret in secrets if secret), key=len, reverse=True)
        self._secret = re.compile("|".join(map(_printed, known))) if known else None

    def __call__(
        self, _logger: object, _method: str, event: MutableMapping[str, Any]
    ) -> MutableMapping[str, Any]:
        """Return the event without secrets."""
        return self._clean_mapping(event)

    def _clean(self, value: Any) -> Any:
        if isinstance(value, str):
            return self._secret.sub(HIDDEN, value) if self._secret else value
        if isinstance(value, Mapping):
            return self._clean_mapping(cast("Mapping[Any, Any]", value))
        if isinstance(value, list | tuple | set | frozenset):
            return [self._clean(item) for item in cast("Sequence[Any]", value)]
        # Whatever else is logged will be printed by its repr.
        return value if isinstance(value, int | float | None) else self._clean(repr(value))

    def _clean_mapping(self, mapping: Mapping[Any, Any]) -> dict[str, Any]:
        # A key that is no text would be refused by the JSON renderer.
        return {
            self._clean(key if isinstance(key, str) else repr(key)): self._clean(item)
            for key, item in mapping.items()
        }


def _printed(secret: str) -> str:
    # Each repr around another doubles the backslashes.
    return "".join(r"\\+" if ch == "\\" else re.escape(ch) for ch in secret)


def _on_one_line(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    # The console shows texts as they are: a line break in one would look like another event.
    return {
        key: _printable(value) if isinstance(value, str) and key != "exception" else value
        for key, value in event.items()
    }


def _printable(text: str) -> str:
    return "".join(ch if ch.isprintable() else ch.encode("unicode_escape").decode() for ch in text)


class _Handler(logging.StreamHandler[TextIO]):
    @override
    def handleError(self, record: logging.LogRecord) -> None:
        # The standard library would print the raw record on stderr, secrets included.
        kind = getattr(sys.exc_info()[0], "__name__", "")
        event = {"event": "a log record could not be written", "logger": record.name, "kind": kind}
        with suppress(Exception):
            self.stream.write(json.dumps(event) + self.terminator)


def configure(*, level: str, style: str, secrets: Sequence[str], stream: TextIO = sys.stderr) -> None:
    """Send Herald's events and its libraries' records through one redacted pipeline."""
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.stdlib.PositionalArgumentsFormatter(),
        structlog.processors.format_exc_info,
    ]
    render: list[Processor] = (
        [structlog.processors.JSONRenderer()]
        if style == "json"
        else [_on_one_line, structlog.dev.ConsoleRenderer(colors=stream.isatty())]
    )
    remove = structlog.stdlib.ProcessorFormatter.remove_processors_meta
    handler = _Handler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared, processors=[remove, Redaction(secrets), *render]
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    # Libraries tell their own story at debug level, frames and headers included: not ours to log.
    for name in ("discord", "aiohttp", "sqlalchemy", "alembic", "aiosqlite", "psycopg", "asyncio"):
        logging.getLogger(name).setLevel(max(logging.WARNING, root.level))
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
