"""The ids of herald.example.toml, which are made up and reach nobody. Pure."""

from collections.abc import Iterable, Iterator
from typing import Final, cast

import regex

from bot.policy.model import Server

_DISCORD: Final = range(100000000000000000, 100000000000000100)
_WHOP: Final = regex.compile(r"(?:exp|prod|biz|user)_Example\w*")


def made_up_ids(server: Server) -> list[str]:
    """Return the ids of a server that are still those of the example, each once."""
    return list(dict.fromkeys(_made_up(server.model_dump())))


def _made_up(value: object) -> Iterator[str]:
    if isinstance(value, dict):
        value = list(cast("dict[str, object]", value).values())
    if isinstance(value, list | tuple):
        for one in cast("Iterable[object]", value):
            yield from _made_up(one)
    elif (isinstance(value, str) and _WHOP.fullmatch(value)) or (
        isinstance(value, int) and value in _DISCORD
    ):
        yield str(value)
