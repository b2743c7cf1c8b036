"""Text that people typed, made harmless where it is shown."""

import re
from typing import Final

from bot.broadcast import PHONE_CONTENT, PHONE_SUBJECT, Text, visible_length

_ANYWHERE: Final = re.compile(r"([\\*_~|`<\[\]@])")
_LINE_START: Final = re.compile(r"^(\s*)([#>+-])", re.MULTILINE)
_NUMBERED: Final = re.compile(r"^(\s*\d+)([.)])", re.MULTILINE)


def plain(text: str) -> str:
    """Return Markdown that shows exactly these characters: no mention, no link, no formatting."""
    text = _ANYWHERE.sub(r"\\\1", text)
    text = _LINE_START.sub(r"\1\\\2", text)
    text = _NUMBERED.sub(r"\1\\\2", text)
    return text.replace("://", ":\\//")


def shorten(text: str, limit: int) -> str:
    """Return at most `limit` characters on one line, with an ellipsis where something is cut."""
    line = " ".join(text.split())
    return line if len(line) <= limit else line[: limit - 1].rstrip() + "…"


def length_note(text: Text) -> str:
    """Say how long the text is as a phone counts, and whether its lock screen will cut it."""
    subject, content = visible_length(text.subject), visible_length(text.content)
    note = f"subject {subject}, content {content} characters"
    cut = [
        name
        for name, length, shown in (("subject", subject, PHONE_SUBJECT), ("content", content, PHONE_CONTENT))
        if length > shown
    ]
    if not cut:
        return f"{note}: fits a lock screen"
    shown = f"it shows about {PHONE_SUBJECT} and {PHONE_CONTENT}"
    return f"{note}: a lock screen cuts the {' and the '.join(cut)} ({shown})"
