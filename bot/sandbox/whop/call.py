"""One call to the simulated Whop, its answer or refusal, and what it is answered from."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Protocol

from bot.sandbox.whop.people import People
from bot.sandbox.whop.record import Served


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """Hold a request that arrived; `path` is relative to the generation's base URL."""

    at: datetime
    method: str
    path: str
    query: str
    params: Mapping[str, str]
    headers: Mapping[str, str]
    content_type: str
    body: bytes
    credential: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """Hold the status, JSON text and extra headers of an answer."""

    status: int
    text: str
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    content_type: str = "application/json"

    @classmethod
    def of(cls, status: int, data: object) -> "Answer":
        """Build an answer from plain data."""
        return cls(status=status, text=json.dumps(data, ensure_ascii=False))

    def replayed(self) -> "Answer":
        """Return the same answer, marked as the repetition of an earlier one."""
        return replace(self, headers={**self.headers, "Idempotent-Replayed": "true"})


class Refusal(Exception):
    """Refuse a call; each generation puts it into its own envelope."""

    def __init__(self, status: int, kind: str, message: str, *, code: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.kind = kind
        self.message = message
        self.code = code


class Catalogue(Protocol):
    """What exists at the simulated Whop; it may change between two calls."""

    topics: list[tuple[str, str]]
    experiences: dict[str, str]
    products: dict[str, str]
    permissions: set[str]
    people: People
    served: list[Served]
    shows_log: bool
