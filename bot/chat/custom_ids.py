"""The ids of buttons and forms: all that Discord gives back of a press, and so all that Herald knows of it.

An id carries no authority: each press loads what it is about and decides anew. Its seal says what was shown.
"""

import re
from typing import Any, Final, NamedTuple, cast

import discord

from bot.seal import LENGTH

# Discord takes no longer one.
LIMIT: Final = 100
_SEAL: Final = rf"(?::(?P<seal>[0-9a-f]{{{LENGTH}}}))?"
# On a card of an earlier Herald there is no seal, and nothing there counts any more.
BUTTON: Final = rf"herald:(?P<action>[a-z_]+):(?P<number>[0-9]{{1,18}}):(?P<revision>[0-9]{{1,9}}){_SEAL}"
FORM: Final = rf"herald:(?P<session>[0-9a-f]{{1,32}}):(?P<opening>[0-9]{{1,20}}){_SEAL}"
# What only shows something, whatever stands there now, needs no seal.
PAGE_OF_LIST: Final = (
    r"list:(?P<name>drafts|queue|history):(?P<newer>n?)(?P<beyond>[0-9]{1,18})(?::(?P<search>[0-9a-f]{16}))?"
)
PAGE_OF_TEMPLATES: Final = r"templates:(?P<newer>n?)(?P<beyond>[0-9]{1,18})"
PAGE_OF_RECORD: Final = (
    r"record:(?P<before>[0-9]{1,15}):(?P<person>[0-9]{0,19}):(?P<since>[0-9-]{0,10})"
    r":(?P<proof>[0-9A-F]{0,8}):(?P<broadcast>[0-9]{0,18}):(?P<audience>[0-9a-f]{0,8})"
)
_SEALED: Final = (re.compile(BUTTON), re.compile(FORM))


class Subject(NamedTuple):
    """What a button is about: its number, its revision, and the seal of what is shown of it."""

    number: int
    revision: int
    seal: str


def button_id(action: str, subject: Subject) -> str:
    """Return the id of a button that does the action."""
    return ":".join(["herald", action, str(subject.number), str(subject.revision), *_given(subject.seal)])


def form_id(session: str, opening: int, seal: str) -> str:
    """Return the id of a form that this process opened at that interaction."""
    return ":".join(["herald", session, str(opening), *_given(seal)])


def seen(interaction: discord.Interaction[Any]) -> str | None:
    """Return the seal of the card or form that was pressed, empty if it has none; None for a command."""
    if interaction.type not in _PRESSES:
        return None
    custom_id = cast("dict[str, Any]", interaction.data or {}).get("custom_id", "")
    found = (pattern.fullmatch(custom_id) for pattern in _SEALED)
    return next((match["seal"] or "" for match in found if match), "")


def _given(seal: str) -> list[str]:
    return [seal] if seal else []


_PRESSES: Final = frozenset({discord.InteractionType.component, discord.InteractionType.modal_submit})
