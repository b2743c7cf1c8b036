"""Where a trial keeps its files: the data folder and the record of exchanges with Whop."""

import json
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory

from bot.errors import ConfigurationError
from bot.sandbox.whop import Exchange

KEPT = ("method", "url", "headers", "body", "status", "response")


@contextmanager
def data_folder(wanted: Path | None) -> Generator[Path, None, None]:
    """Give an empty folder: the wanted one, which is kept, or one that is removed at the end."""
    if wanted is None:
        with TemporaryDirectory(prefix="herald-sandbox-") as temporary:
            yield Path(temporary)
        return
    # What a trial before has left would not fit the new simulated Discord.
    if wanted.exists() and (not wanted.is_dir() or any(wanted.iterdir())):
        raise ConfigurationError(f"--data: {wanted} is not an empty folder: name a new one.")
    try:
        wanted.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigurationError(
            f"--data: {wanted} cannot be made ({error.strerror}): name another."
        ) from None
    yield wanted


@contextmanager
def recorder(file: Path | None) -> Generator[Callable[[Exchange], None], None, None]:
    """Give what writes each exchange as one line of JSON, as soon as it has happened."""
    if file is None:
        yield lambda _exchange: None
        return
    try:
        stream = file.open("w", encoding="utf-8", buffering=1)
    except OSError as error:
        raise ConfigurationError(
            f"--record: {file} cannot be written ({error.strerror}): name another."
        ) from None
    with stream:

        def write(exchange: Exchange) -> None:
            whole = asdict(exchange) | {"headers": dict(exchange.headers)}
            stream.write(json.dumps({name: whole[name] for name in KEPT}, ensure_ascii=False) + "\n")

        yield write
