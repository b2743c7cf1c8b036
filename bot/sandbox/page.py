"""A channel of the simulated Discord as a page; what is private in SimCord is touched here alone."""

# pyright: reportPrivateUsage=false

import asyncio
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from html import escape
from importlib import resources
from typing import Any, ClassVar, Final, Self

import simcord
from aiohttp import web
from simcord.preview._server import PreviewServer

# How many versions of what tabs were shown are kept, all tabs of a channel together.
REMEMBERED: Final = 64
# Our own files beside SimCord's.
OURS: Final[Mapping[str, str]] = {"/sandbox.js": "application/javascript", "/sandbox.css": "text/css"}

Links = Callable[[], Sequence[tuple[str, str]]]


class ChannelPage(simcord.Preview):
    """Serve one channel to any number of tabs, beside the pages of other channels.

    SimCord does one thing at a time and refuses what comes meanwhile, and a press on what was drawn anew a
    moment ago. Here everything waits for its turn, and a press counts if the message still looks as it did.
    """

    # A tab that rests in the background for hours is still a tab.
    _PAGE_LEASE_SECONDS = 24 * 60 * 60.0
    _MAX_PAGES = 100

    def __init__(
        self,
        env: simcord.Env,
        channel: simcord.ChannelHandle,
        viewers: Sequence[simcord.MemberActor],
        *,
        turn: asyncio.Lock,
        links: Links,
    ) -> None:
        super().__init__(
            env,
            channel,
            tuple(viewers),
            layout="channel",
            display="responsive",
            width=960,
            height=720,
            locale="en-US",
            timezone="UTC",
            presentation_time=None,
            assets=None,
            port=0,
        )
        self._server = _Server(self, channel.name or "", links)
        self._turn = turn
        self._shown: deque[tuple[str, int, Mapping[str, Any]]] = deque(maxlen=REMEMBERED)

    async def __aenter__(self) -> Self:
        # SimCord has room for one page; whose turn it is has it.
        self.env._preview = None
        await super().__aenter__()
        return self

    @property
    def closed(self) -> bool:
        """Tell whether somebody ended the page from within."""
        return self._closed

    def _publish(self, page: Any, **reason: Any) -> None:
        # SimCord tells the time of the last refresh: "in 13 seconds" of an undo window of ten.
        self._advance_presentation_time()
        super()._publish(page, **reason)
        self._shown.append((page.id, page.revision, page.snapshot["messages"]))

    async def _action(self, context_id: str | None, body: Mapping[str, Any]) -> dict[str, Any]:
        async with self._turn:
            self.env._preview = self
            return await super()._action(context_id, self._up_to_date(context_id, body))

    def _up_to_date(self, context_id: str | None, body: Mapping[str, Any]) -> Mapping[str, Any]:
        """Take the action for one on what is shown now, unless the message that it is about changed."""
        page = self._get_page(context_id)
        pressed = str(body.get("target_id"))
        seen = next(
            (
                messages
                for shown_to, revision, messages in self._shown
                if (shown_to, revision) == (context_id, body.get("published_revision"))
            ),
            None,
        )
        if seen is None or seen.get(pressed) != page.snapshot["messages"].get(pressed):
            return body
        return {**body, "published_revision": page.revision}


class _Server(PreviewServer):
    """Serve SimCord's page with the sandbox's own way through the channels in it."""

    _STATIC_FILES: ClassVar[dict[str, str]] = PreviewServer._STATIC_FILES | {path: path[1:] for path in OURS}

    def __init__(self, preview: simcord.Preview, channel: str, links: Links) -> None:
        super().__init__(preview)
        self._channel = channel
        self._links = links

    async def _static(self, request: web.Request) -> web.Response:
        if request.path in OURS:
            text = resources.files("bot.sandbox").joinpath("static", request.path[1:]).read_text("utf-8")
            return web.Response(text=text, content_type=OURS[request.path], headers=self._SECURITY_HEADERS)
        response: web.Response = await super()._static(request)
        if request.path == "/":
            response.text = self._furnished(response.text or "")
        return response

    def _furnished(self, html: str) -> str:
        return (
            html.replace("SimCord Preview</title>", f"#{self._channel} · Herald's sandbox</title>")
            .replace("</head>", '<link rel="stylesheet" href="/sandbox.css"></head>')
            .replace('<div class="preview-brand">', f'{self._way()}<div class="preview-brand">')
            .replace("</body>", '<script type="module" src="/sandbox.js"></script></body>')
        )

    def _way(self) -> str:
        """Link to the other pages."""
        links = "".join(
            f'<a href="{escape(address)}"{self._here(name)}>{escape(name)}</a>'
            for name, address in self._links()
        )
        return f'<nav id="sandbox-links" aria-label="Pages of the sandbox">{links}</nav>'

    def _here(self, name: str) -> str:
        return ' aria-current="page"' if name == f"#{self._channel}" else ""
