"""Reading an audience to its end, from a simulated Whop or from whatever answers."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final
from urllib.parse import parse_qsl, urlsplit

from bot.delivery import NoAnswer, Request, Response
from bot.sandbox.whop.call import Call, Catalogue, Refusal
from bot.sandbox.whop.v1 import V1
from bot.sandbox.whop.v5 import V5
from bot.whop.reads import Failed, Reads, Source

NOW: Final = datetime(2026, 11, 28, 12, 0, tzinfo=UTC)


@dataclass(slots=True)
class Reading:
    """What was read: each person with the experience in which they can be reached, and how it ended."""

    members: dict[str, str | None] = field(default_factory=dict[str, str | None])
    rows: int = 0
    nameless: int = 0
    people: int | None = None
    questions: int = 0
    failed: Failed | None = None


def read_all(
    reads: Reads, sources: tuple[Source, ...], ask: Callable[[Request], Response | NoAnswer]
) -> Reading:
    """Read until nothing is left or a page fails."""
    reading, waiting = Reading(), deque(sources)
    while waiting:
        source = waiting.popleft()
        part = reads.read(source, ask(reads.ask(source)), now=NOW)
        reading.questions += 1
        if isinstance(part, Failed):
            reading.failed = part
            break
        for member in part.members:
            reading.members.setdefault(member.id, source.via)
        reading.rows += len(part.members)
        reading.nameless += part.nameless
        reading.people = part.people if reading.people is None else reading.people + (part.people or 0)
        waiting.extend(part.then)
    return reading


def asking(generation: str, catalogue: Catalogue) -> Callable[[Request], Response]:
    """Return what answers a question from what exists at a simulated Whop, without a network between."""
    served = {"v1": V1, "v5": V5}[generation](catalogue)

    def ask(request: Request) -> Response:
        url = urlsplit(request.url)
        call = Call(
            at=NOW,
            method=request.method,
            path=url.path.removeprefix(f"/api/{generation}/"),
            query=url.query,
            params=dict(parse_qsl(url.query)),
            headers=request.headers,
            content_type="application/octet-stream",
            body=b"",
            credential="",
        )
        try:
            answer = served.answer(call)[0]
        except Refusal as refusal:
            answer = served.refuse(refusal)
        return Response(status=answer.status, headers=answer.headers, body=answer.text)

    return ask
