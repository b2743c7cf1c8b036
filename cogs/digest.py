"""The weekly digest, as it stands in the review channel."""

from collections.abc import Mapping

from bot.chat.rendering import Rendered
from bot.digest import Span
from cogs.embeds import CONTENT_LIMIT
from cogs.situation import moment
from cogs.text import fitting, inline, units

QUIET = "Nothing was sent, held, rejected or cancelled."


def draw_digest(span: Span, results: Mapping[str, Mapping[str, int]]) -> Rendered:
    """Say how many broadcasts came to which result, for each audience; nothing is counted twice."""
    above = f"📊 **From {moment(span.begin, 'f')} to {moment(span.end, 'f')}**"
    lines = [
        f"**{inline(audience)}**: {', '.join(f'{number:,} {result}' for result, number in counts.items())}"
        for audience, counts in results.items()
    ]
    below = "-# Each broadcast counts once, by what happened to it last. `/notify history` lists them."
    room = CONTENT_LIMIT - units(above) - units(below) - 2
    said = fitting(lines, room, between="\n") if lines else QUIET
    return Rendered(content="\n".join([above, said, *([below] if lines else [])]))
