"""What a card or a form is sealed with: a press counts only while what stands there is what was shown.

A seal is a hash over all that a person decides about. Words and rules alone could come again, in a copy of
the database or under a number that is given out anew: so a random number is part of it, which every draft,
every edit and every submission draws for itself.
"""

from collections.abc import Mapping, Sequence
from typing import Final

from bot.audience import is_large, reach_of
from bot.broadcast import Broadcast
from bot.everyday import EverydayTemplate
from bot.freeze import Freeze
from bot.lifecycle import Lifecycle
from bot.notification import fingerprint_of
from bot.policy.model import Server
from bot.quorum import needed
from bot.series import Series

# So many characters of the hash, which nobody guesses and no two share, fit where Discord takes a hundred.
LENGTH: Final = 32
# Another one wherever cards, or what their buttons carry, are no longer as with the Herald before.
LAYOUT: Final = 2


def of_broadcast(lifecycle: Lifecycle, broadcast: Broadcast) -> str:
    """Return what seals the cards and forms of a broadcast now, under today's policy."""
    server = lifecycle.policy.server(broadcast.guild_id)
    return _seal(
        {
            "number": broadcast.id,
            "revision": broadcast.revision,
            "nonce": broadcast.nonce,
            "fingerprint": broadcast.fingerprint,
            "now": _now(lifecycle, server, broadcast) if server else {},
        }
    )


def _now(lifecycle: Lifecycle, server: Server, broadcast: Broadcast) -> Mapping[str, object]:
    """Return what would go out today, and what that asks of approvers."""
    quiet = server.quiet_of(broadcast.audience)
    return {
        "fingerprint": lifecycle.prints_now(server, broadcast)["fingerprint"],
        "reach": reach_of(server, broadcast),
        "large": is_large(server, broadcast),
        "approvals": needed(server, broadcast),
        "series": [broadcast.series, str(server.rules.series_approval)] if broadcast.series else None,
        "often": [
            broadcast.too_often,
            *map(str, server.limit_of(broadcast.audience)),
            *map(str, server.caps),
        ],
        "quiet": [broadcast.in_quiet_hours, *(map(str, quiet) if quiet else ())],
        "lint": server.lint.model_dump(mode="json"),
    }


def of_test(test: Broadcast) -> str:
    """Return what seals the buttons by which somebody says what became of a test of theirs."""
    return _seal({"test": test.id, "nonce": test.nonce, "fingerprint": test.fingerprint})


def of_template(printed: str, *, needed: int) -> str:
    """Return what seals the cards and forms of a template with that fingerprint."""
    return _seal({"template": printed, "approvals": needed})


def number_of_template(printed: str, *, needed: int) -> int:
    """Return what stands for a template where only a number fits: another one once its card shows another."""
    return int(of_template(printed, needed=needed)[:12], 16)


def of_everyday(template: EverydayTemplate) -> str:
    """Return what seals the cards and forms of a template that moderators made."""
    return _seal({"everyday": template.model_dump(mode="json", exclude={"editors"})})


def of_freeze(freeze: Freeze, waiting: Sequence[Broadcast]) -> str:
    """Return what seals the question whether to lift a freeze, and to let go out what waits behind it."""
    listed = [(one.id, one.revision, one.nonce) for one in waiting]
    return _seal({"freeze": freeze.model_dump(mode="json"), "waiting": listed})


def of_series(series: Series) -> str:
    """Return what seals the card of a series."""
    return _seal({"series": series.model_dump(mode="json")})


def of_server(lifecycle: Lifecycle, server: Server) -> str:
    """Return what changes whenever cards that stand in a server would be drawn otherwise today."""
    shown = {"server": server.model_dump(mode="json"), "way": lifecycle.way(server), "layout": LAYOUT}
    return _seal(shown)


def _seal(parts: Mapping[str, object]) -> str:
    return fingerprint_of(parts)[:LENGTH]
