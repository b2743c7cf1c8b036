"""What people do in Discord, and what Herald answers them."""

from dataclasses import dataclass, field
from typing import Any, Final

COMMAND, COMPONENT, AUTOCOMPLETE, MODAL_SUBMIT = 2, 3, 4, 5
# What an answer may be.
MESSAGE, DEFERRED, DEFERRED_UPDATE, UPDATE, CHOICES, MODAL = 4, 5, 6, 7, 8, 9
_NOT_YET: Final = frozenset({DEFERRED, DEFERRED_UPDATE})


@dataclass(slots=True, kw_only=True)
class Asked:
    """One command, press or modal that somebody sent, and what became of it."""

    id: int
    token: str
    kind: int
    channel_id: int
    # On which a button was pressed: an answer may edit it.
    origin: dict[str, Any] | None = None
    callback: dict[str, Any] | None = None
    message: dict[str, Any] | None = None
    follow_ups: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    is_complete: bool = False

    def answered(self, body: dict[str, Any], message: dict[str, Any]) -> None:
        """Take the first answer."""
        self.callback = body
        self.is_complete = body["type"] not in _NOT_YET
        match body["type"]:
            case 4 | 5:
                self.message = message
            case 7 if self.origin is not None:
                self.origin |= {name: message[name] for name in body["data"] if name in message}
                self.message = self.origin
            case 6:
                self.message = self.origin or message
            case _:
                pass

    @property
    def is_done(self) -> bool:
        """Tell whether all that Herald has to say is said."""
        return self.is_complete or bool(self.follow_ups)

    @property
    def said(self) -> str:
        """Return the words of the last answer."""
        shown = self.follow_ups[-1] if self.follow_ups else self.message or {}
        return readable(shown)

    @property
    def modal(self) -> dict[str, Any] | None:
        """Return the modal that opened, or None."""
        is_one = self.callback is not None and self.callback["type"] == MODAL
        return self.callback["data"] if self.callback is not None and is_one else None


def readable(message: dict[str, Any]) -> str:
    """Return all words of a message, embeds included, in reading order."""
    parts = [message.get("content") or ""]
    embeds: list[dict[str, Any]] = message.get("embeds") or []
    for embed in embeds:
        parts += [embed.get("title") or "", embed.get("description") or ""]
        parts += [f"{one['name']}: {one['value']}" for one in embed.get("fields", [])]
        parts.append(embed.get("footer", {}).get("text") or "")
    return "\n".join(part for part in parts if part)
