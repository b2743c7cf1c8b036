"""How a card warns of what customers may get twice."""

from collections.abc import Sequence

from bot.broadcast import Broadcast
from bot.repeats import NEARLY, Beside, expected, tell_alike, tell_repeated
from cogs.embeds import KEPT
from cogs.situation import HEADLINES, moment
from cogs.text import fitting, numbered, plain, shorten

# What is told of others has room beside the words, however many there are.
ROOM = 3 * KEPT


def warn_of_alike(beside: Beside) -> str:
    """Say which others say the same to the same people, and what becomes of them."""
    return _warned(beside.alike, "The same")


def warn_of_near(beside: Beside) -> str:
    """Say which others say nearly the same to the same people, and what becomes of them."""
    return _warned(beside.near, NEARLY)


def _warned(others: Sequence[Broadcast], what: str) -> str:
    told = (
        tell_alike(one, which=numbered(one), when=moment(expected(one), "R"), what=what) for one in others
    )
    lines = [f"⚠️ {one}." for one in told]
    return fitting(lines, ROOM, between="\n") if lines else ""


def warn_of_repeat(broadcast: Broadcast, beside: Beside) -> str:
    """Say how that one stands now which it sends again, and which others do so."""
    if broadcast.repeats is None:
        return ""
    if beside.repeated is None:
        stands = f"nobody knew whether customers got #{broadcast.repeats}: whoever did gets it twice"
    else:
        reason = plain(shorten(beside.repeated.reason, KEPT)).rstrip(".")
        stands = tell_repeated(beside.repeated, which=numbered(beside.repeated), reason=reason)
    copies = [f"{numbered(one)} ({HEADLINES[one.status]})" for one in beside.copies]
    also = f"\nAlso sent again as {fitting(copies, ROOM, between=', ')}." if copies else ""
    return f"{stands}.{also}"
