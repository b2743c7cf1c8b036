"""The log: one pipeline for Herald and its libraries, in which no secret survives."""

import json
import logging
import sys
import traceback
from collections.abc import Mapping, MutableMapping, Sequence
from contextlib import suppress
from typing import Any, TextIO, cast

import structlog
from structlog.typing import Processor
from typing_extensions import override

from bot.characters import isolated_within
from bot.redaction import Redaction


class Redacting:
    """Strike known secrets out of an event, wherever they stand in it; a structlog processor."""

    def __init__(self, redaction: Redaction) -> None:
        self._redaction = redaction

    def __call__(
        self, _logger: object, _method: str, event: MutableMapping[str, Any]
    ) -> MutableMapping[str, Any]:
        """Return the event without secrets."""
        return self._clean_mapping(event)

    def _clean(self, value: Any) -> Any:
        if isinstance(value, str):
            return self._redaction(value)
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


def _on_one_line(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    # The console shows texts as they are: a line break in one would look like another event.
    return {
        key: _printable(value) if isinstance(value, str) and key != "exception" else value
        for key, value in event.items()
    }


def _from_the_left(_logger: object, _method: str, line: Any) -> Any:
    return isolated_within(line)


def _printable(text: str) -> str:
    if text.isprintable():
        return text
    return "".join(ch if ch.isprintable() else ch.encode("unicode_escape").decode() for ch in text)


class _Handler(logging.StreamHandler[TextIO]):
    def __init__(self, stream: TextIO, redaction: Redaction) -> None:
        super().__init__(stream)
        self.redaction = redaction

    @override
    def handleError(self, record: logging.LogRecord) -> None:
        # The standard library would print the raw record on stderr, secrets included.
        kind = getattr(sys.exc_info()[0], "__name__", "")
        event = {"event": "a log record could not be written", "logger": record.name, "kind": kind}
        with suppress(Exception):
            self.stream.write(json.dumps(event) + self.terminator)


def configure(*, level: str, style: str, secrets: Sequence[str], stream: TextIO | None = None) -> None:
    """Send Herald's events and its libraries' records through one redacted pipeline, to standard error."""
    # Not as a default: it would be the one of the moment in which this module was first read.
    shown_on = stream or sys.stderr
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
        else [_on_one_line, structlog.dev.ConsoleRenderer(colors=shown_on.isatty()), _from_the_left]
    )
    remove = structlog.stdlib.ProcessorFormatter.remove_processors_meta
    redaction = Redaction(secrets)
    handler = _Handler(shown_on, redaction)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared, processors=[remove, Redacting(redaction), *render]
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


def redacted(text: str) -> str:
    """Return a text that others have a part in without the secrets that the log hides."""
    handler = _configured()
    return handler.redaction(text) if handler else text


def report(fault: BaseException) -> None:
    """Log a fault that ends the process; until the log knows the secrets, only where it happened."""
    if _configured():
        structlog.get_logger().critical("a fault inside Herald", kind=type(fault).__name__, exc_info=fault)
        return
    where = "".join(traceback.format_tb(fault.__traceback__))
    sys.stderr.write(f"A fault inside Herald ({type(fault).__name__}):\n{where}")


def _configured() -> _Handler | None:
    return next((one for one in logging.getLogger().handlers if isinstance(one, _Handler)), None)
