"""When each interaction of a simulated Discord goes out, and when it is answered."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager
from functools import partial
from typing import Any, Final
from unittest.mock import patch

import simcord
from discord.webhook.async_ import AsyncWebhookAdapter

# Every answer to an interaction goes through one of these.
ANSWERS: Final = (
    "create_interaction_response", "edit_original_interaction_response", "execute_webhook",
    "edit_webhook_message",
)  # fmt: skip
QUIET_SECONDS: Final = 0.04
ALL_SECONDS: Final = 30.0


class Answered:
    """When each interaction went out, and when it got its first answer and its last."""

    def __init__(self) -> None:
        self.asked: dict[str, float] = {}
        self.first: dict[str, float] = {}
        self.last: dict[str, float] = {}

    def ask(self, emit: Callable[..., object], kind: str, payload: dict[str, Any]) -> object:
        """Pass an event of the gateway on."""
        if kind == "INTERACTION_CREATE":
            self.asked[payload["token"]] = time.perf_counter()
        return emit(kind, payload)

    def spans(self, ends: dict[str, float]) -> list[float]:
        """Return how many seconds each of the interactions took until then."""
        missing = self.asked.keys() - ends.keys()
        if missing:
            raise RuntimeError(f"{len(missing)} of {len(self.asked)} interactions got no answer")
        return [ends[token] - asked for token, asked in self.asked.items()]

    @contextmanager
    def listening(self, env: simcord.Env) -> Generator[None, None, None]:
        """Note what goes to the client and what comes back."""
        with patch.object(env.backend, "emit", partial(self.ask, env.backend.emit)), _answers(self):
            yield

    async def come(self) -> None:
        """Wait until all are answered and nothing more comes, and leave the processor to the client."""
        async with asyncio.timeout(ALL_SECONDS):
            # What is waited for is that nothing comes.
            while self.asked.keys() - self.last.keys() or self._quiet_for() < QUIET_SECONDS:  # noqa: ASYNC110
                await asyncio.sleep(QUIET_SECONDS / 4)

    def _quiet_for(self) -> float:
        return time.perf_counter() - max(self.last.values())


@contextmanager
def _answers(answered: Answered) -> Generator[None, None, None]:
    def noted(real: Callable[..., Awaitable[object]], place: int) -> Callable[..., Awaitable[object]]:
        async def answer(*values: Any, **named: Any) -> object:
            token = named["token"] if "token" in named else values[place]
            answered.first.setdefault(token, time.perf_counter())
            try:
                return await real(*values, **named)
            finally:
                answered.last[token] = time.perf_counter()

        return answer

    real = {name: getattr(AsyncWebhookAdapter, name) for name in ANSWERS}
    for name in ANSWERS:
        setattr(AsyncWebhookAdapter, name, noted(real[name], 2))
    try:
        yield
    finally:
        for name in ANSWERS:
            setattr(AsyncWebhookAdapter, name, real[name])
