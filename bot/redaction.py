"""Secrets struck out of text, in whatever spelling a library or a proxy gives them. Pure."""

import re
from base64 import b64encode
from collections.abc import Iterable, Iterator
from typing import Final

HIDDEN: Final = "***"
# A shorter piece of Base64 may be anything.
_LEAST: Final = 8


class Redaction:
    """Replace known secrets wherever they stand in a text."""

    def __init__(self, secrets: Iterable[str]) -> None:
        # The longer first, since it may contain the shorter.
        known = sorted({secret for secret in secrets if secret}, key=len, reverse=True)
        spellings = [spelling for secret in known for spelling in _spellings(secret)]
        self._secret = re.compile("|".join(spellings)) if spellings else None

    def __call__(self, text: str) -> str:
        """Return the text without secrets."""
        return self._secret.sub(HIDDEN, text) if self._secret else text


def _spellings(secret: str) -> Iterator[str]:
    yield "".join(map(_spelt, secret))
    for piece in _in_base64(secret.encode("utf-8", "surrogatepass")):
        yield re.sub("[+/]", lambda match: "[+-]" if match[0] == "+" else "[/_]", piece)


def _spelt(ch: str) -> str:
    """Return what stands for a character, in JSON, in an address, or in one repr around another."""
    code = ord(ch)
    octets = "".join(f"%{octet:02x}" for octet in ch.encode("utf-8", "surrogatepass"))
    coded = rf"(?i:\\+u{code:04x}|\\+x{code:02x}|{octets})"
    # Each repr around another doubles the backslashes.
    itself = r"\\+" if ch == "\\" else rf"\\*{ch}" if ch in "\"'/" else re.escape(ch)
    return rf"(?:{itself}|{coded})"


def _in_base64(secret: bytes) -> Iterator[str]:
    """Yield what is the same of it in Base64 whatever stands before it and behind it."""
    for offset in range(3):
        whole = b64encode(bytes(offset) + secret).decode()
        piece = whole[-(-offset * 8 // 6) : (offset + len(secret)) * 8 // 6]
        if len(piece) >= _LEAST:
            yield piece
