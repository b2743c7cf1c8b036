"""The log: one pipeline for Herald and its libraries, in which no secret survives."""

import logging
import sys
from collections.abc import Mapping, MutableMapping, Sequence
from typing import Any, Final, TextIO, cast

import structlog
from structlog.typing import Processor

HIDDEN: Final = "***"


class Redaction:
    """Replace known secrets wherever they stand in an event; a structlog processor."""

    def __init__(self, secrets: Sequence[str]) -> None:
        self._secrets = sorted((secret for secret in secrets if secret), key=len, reverse=True)

    def __call__(
        self, _logger: object, _method: str, event: MutableMapping[str, Any]
    ) -> MutableMapping[str, Any]:
        """Return the event without secrets."""
        return {key: self._clean(value) for key, value in event.items()}

    def _clean(self, value: Any) -> Any:
        if isinstance(value, str):
            for secret in self._secrets:
                value = value.replace(secret, HIDDEN)
            return value
        if isinstance(value, Mapping):
            mapping = cast("Mapping[Any, Any]", value)
            return {key: self._clean(item) for key, item in mapping.items()}
        if isinstance(value, list | tuple | set):
            return [self._clean(item) for item in cast("Sequence[Any]", value)]
        # Whatever else is logged will be printed by its repr.
        return value if isinstance(value, int | float | None) else self._clean(repr(value))


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
    render: Processor = (
        structlog.processors.JSONRenderer()
        if style == "json"
        else structlog.dev.ConsoleRenderer(colors=stream.isatty())
    )
    remove = structlog.stdlib.ProcessorFormatter.remove_processors_meta
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared, processors=[remove, Redaction(secrets), render]
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    # Libraries tell their own story at debug level, frames and headers included: not ours to log.
    for name in ("discord", "aiohttp", "sqlalchemy", "alembic", "aiosqlite", "asyncio"):
        logging.getLogger(name).setLevel(max(logging.WARNING, root.level))
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
