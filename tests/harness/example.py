"""herald.example.toml, as whoever fills it in leaves it."""

from pathlib import Path
from typing import Final

EXAMPLE: Final = (Path(__file__).parents[2] / "herald.example.toml").read_text(encoding="utf-8")
FILLED_IN: Final = EXAMPLE.replace("1000000000000000", "1049000000000000").replace("_Example", "_Our")
