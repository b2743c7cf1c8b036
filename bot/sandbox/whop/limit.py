"""The rate limits of both generations, counted with the caller's clock."""

import math
from collections import deque
from datetime import datetime, timedelta


class Window:
    """Let `calls` through in any `span`; further ones wait until the oldest has left it."""

    def __init__(self, *, calls: int, span: timedelta) -> None:
        self._calls = calls
        self._span = span
        self._seen: dict[str, deque[datetime]] = {}

    def wait(self, who: str, at: datetime) -> int:
        """Count a call and return 0, or the whole seconds to wait when there is no room."""
        seen = self._seen.setdefault(who, deque())
        while seen and seen[0] <= at - self._span:
            seen.popleft()
        if len(seen) < self._calls:
            seen.append(at)
            return 0
        return math.ceil((seen[0] + self._span - at).total_seconds())

    def forget(self, who: str) -> None:
        """Empty the window of one caller."""
        self._seen.pop(who, None)


class CoolDown:
    """Let calls through as a window does, but shut for `rest` as soon as one is too many."""

    def __init__(self, *, calls: int, span: timedelta, rest: timedelta) -> None:
        self._window = Window(calls=calls, span=span)
        self._rest = rest
        self._shut_until: dict[str, datetime] = {}

    def wait(self, who: str, at: datetime) -> int:
        """Count a call and return 0, or the whole seconds until the cool-down ends."""
        until = self._shut_until.get(who)
        if until is not None and at < until:
            return math.ceil((until - at).total_seconds())
        if self._window.wait(who, at) == 0:
            return 0
        self._window.forget(who)
        self._shut_until[who] = at + self._rest
        return math.ceil(self._rest.total_seconds())
