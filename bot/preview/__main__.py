"""Draw one picture: what to draw comes as JSON, and a line of JSON goes out before the picture."""

import importlib
import json
import os
import sys
from contextlib import suppress
from typing import Any, Final

from bot.preview.fonts import Fonts, folders
from bot.preview.order import Order, Words
from bot.preview.picture import arrange, paint

# Far more than it takes: whatever needs more ends by itself, and no other process suffers.
MOST_BYTES: Final = 2**30
MOST_SECONDS: Final = 15


def main() -> None:
    """Read what to draw, and write what was drawn."""
    _bound()
    phone, feed, cut_subject, cut_content = json.load(sys.stdin.buffer)
    order = Order(Words(*phone) if phone else None, Words(*feed) if feed else None, cut_subject, cut_content)
    fonts = Fonts(order.written(), folders())
    cards = arrange(order, fonts)
    head = json.dumps({"missing": fonts.missing}).encode()
    sys.stdout.buffer.write(head + b"\n" + paint(cards, fonts))


def _bound() -> None:
    # Where the system knows no limits, there are none.
    with suppress(ImportError, AttributeError, ValueError, OSError):
        os.nice(5)
        resource: Any = importlib.import_module("resource")
        resource.setrlimit(resource.RLIMIT_AS, (MOST_BYTES, MOST_BYTES))
        resource.setrlimit(resource.RLIMIT_CPU, (MOST_SECONDS, MOST_SECONDS))


if __name__ == "__main__":
    main()
