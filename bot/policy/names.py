"""Names that people could take for one another: Unicode's skeleton of what looks alike (UTS #39, 4). Pure."""

import json
import unicodedata
from collections.abc import Iterable, Mapping
from functools import cache
from importlib.resources import files
from typing import Any, Final

import regex

# Unicode's table, as this package brings it: each character with those that look like it.
_TABLE: Final = ("confusable_homoglyphs", "confusables.json")
_UNSEEN: Final = regex.compile(r"\p{Default_Ignorable_Code_Point}")
# Around what is written from the right, so that the table itself can be read.
_TURNED: Final = "\u200e"


def refuse_alike(what: str, groups: Iterable[Iterable[str]]) -> None:
    """Raise ValueError if one thing has a name that looks like one of another, in whatever case or script.

    Each group has the names of one thing.
    """
    seen: dict[str, str] = {}
    for names in groups:
        alike: dict[str, str] = {}
        for name in names:
            for skeleton in _skeletons(name):
                alike.setdefault(skeleton, name)
        for skeleton, name in alike.items():
            if (other := seen.get(skeleton)) is not None:
                said = "is there already, as" if _folded(name) == _folded(other) else "looks like"
                raise ValueError(f"{what} “{name}” {said} “{other}”: rename or remove one")
        seen |= alike


def lookalike(name: str, others: Iterable[str]) -> str | None:
    """Return the first of the other names that the name could be taken for, in whatever case or script."""
    shown = _skeletons(name)
    return next((one for one in others if not shown.isdisjoint(_skeletons(one))), None)


def _skeletons(name: str) -> set[str]:
    """Return what the name looks like in small letters, and what is left of its letters as they look."""
    shown = _folded(_UNSEEN.sub("", name))
    return {_skeleton(shown), _skeleton(unicodedata.normalize("NFKC", _UNSEEN.sub("", name))).casefold()}


def _folded(name: str) -> str:
    return " ".join(unicodedata.normalize("NFKC", name).casefold().split())


def _skeleton(text: str) -> str:
    alike = _prototypes()
    shown = "".join(alike.get(ch, ch) for ch in unicodedata.normalize("NFD", " ".join(text.split())))
    return unicodedata.normalize("NFD", shown)


@cache
def _prototypes() -> Mapping[str, str]:
    """Return for each character that looks like others the one that stands for all of them."""
    package, name = _TABLE
    table: dict[str, list[dict[str, Any]]] = json.loads(files(package).joinpath(name).read_text("utf-8"))
    alike = {
        one.strip(_TURNED): [other["c"].strip(_TURNED) for other in others] for one, others in table.items()
    }
    return {
        # All that look alike are listed with one of them; of two, either would do.
        one: max((one, *others), key=lambda each: (len(alike[each]), len(each), each))
        for one, others in alike.items()
    }
