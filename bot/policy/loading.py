"""Reading herald.toml: each mistake becomes one sentence that names the place, the key and the mend."""

import difflib
import tomllib
from collections.abc import Mapping, Sequence, Set
from functools import reduce
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from pydantic import ValidationError

from bot.errors import ConfigurationError
from bot.policy.audience import Audience, Targets, UsersInExperience
from bot.policy.fields import read_name
from bot.policy.model import (
    ActionRoles,
    Cap,
    Channels,
    Lint,
    Lists,
    Policy,
    Rules,
    Server,
    Topic,
    WhopAccount,
)
from bot.policy.section import Section
from bot.policy.template import Blank, Template


def load_policy(path: Path) -> Policy:
    """Read and check herald.toml; raise ConfigurationError with one sentence for each thing to mend."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        problem = "there is no such file: copy herald.example.toml to it, or correct HERALD_CONFIG"
    except OSError as error:
        problem = (
            f"it cannot be read ({error.strerror}): mend the file or its rights, or correct HERALD_CONFIG"
        )
    except UnicodeDecodeError:
        problem = "it cannot be read: save it as a text file in UTF-8"
    else:
        return parse_policy(text, name=str(path))
    raise ConfigurationError(f"{path}: {problem}.")


def parse_policy(text: str, *, name: str) -> Policy:
    """Check the text of a herald.toml; raise ConfigurationError naming the file and each key."""
    try:
        document = tomllib.loads(text)
    except ValueError as error:
        raise ConfigurationError(f"{name}: it is not valid TOML: {error}: mend that line.") from None
    try:
        return Policy.model_validate(document)
    except ValidationError as error:
        sentences = describe_errors(error, document)
    raise ConfigurationError("\n".join(f"{name}: {sentence}" for sentence in sentences))


Location = tuple[int | str, ...]

_TABLES: Final[Mapping[str, type[Section]]] = MappingProxyType(
    {
        "whop": WhopAccount,
        "server": Server,
        "channels": Channels,
        "roles": ActionRoles,
        "rules": Rules,
        "lint": Lint,
        "lists": Lists,
        "topic": Topic,
        "cap": Cap,
        "audience": Audience,
        "template": Template,
        "blank": Blank,
        "targets": Targets,
        "users_in_experience": UsersInExperience,
    }
)
_REPEATED: Final = frozenset({"whop", "server", "topic", "cap", "audience", "template", "blank"})


def describe_errors(error: ValidationError, document: Mapping[str, Any]) -> list[str]:
    """Return a sentence for each mistake in the document: the key, what is wrong, what to write."""
    items = error.errors(include_url=False, include_input=False)
    missing = {item["loc"] for item in items if item["type"] == "missing"}
    strange = [item["loc"] for item in items if item["type"] == "extra_forbidden"]
    sentences: dict[Location, str] = {}
    explained: set[Location] = set()
    for loc in strange:
        problem, meant = _strange(loc, missing)
        explained |= meant
        if problem:
            sentences[loc] = problem
    for item in items:
        loc = item["loc"]
        if loc not in explained and item["type"] != "extra_forbidden":
            sentences[loc] = _problem(item["type"], item["msg"], loc, document)
    return [f"{_place(loc, document)}{problem}." for loc, problem in sentences.items()]


def _strange(loc: Location, missing: Set[Location]) -> tuple[str, set[Location]]:
    """Return what to do about an unknown key, and which missing keys that would mend."""
    *table, key = loc
    if not table and key in _keys(Server):
        if ("server",) in missing:
            # Without any server all that belongs to one is astray: one sentence is enough.
            return "", set()
        header = _header(("server", 0, key)) or "below a line [[server]]"
        return f"it stands outside of a server: write {header}", {
            other for other in missing if other[::2] == ("server", key)
        }
    name = next((part for part in reversed(table) if isinstance(part, str)), "")
    section = _TABLES.get(name, Policy)
    lacking = [part for part in _keys(section) if (*table, part) in missing]
    meant = _meant(str(key), section, lacking)
    hint = f" (did you mean {meant}?)" if meant else ""
    return f"there is no such key{hint}: correct the spelling or remove it", {
        (*table, part) for part in lacking if part == meant.partition(".")[0]
    }


def _meant(key: str, section: type[Section], lacking: Sequence[str]) -> str:
    """Return the likely key: one spelt alike, one of a table within, or the only one that is missing."""
    if alike := difflib.get_close_matches(key, _keys(section), n=1):
        return alike[0]
    for part in _keys(section):
        if part in _TABLES and part not in _REPEATED and key in _keys(_TABLES[part]):
            return f"{part}.{key}"
    return lacking[0] if len(lacking) == 1 else ""


def _problem(kind: str, message: str, loc: Location, document: Mapping[str, Any]) -> str:
    header = _header(loc)
    match kind:
        case "value_error":
            return message.removeprefix("Value error, ")
        case "missing":
            return f"it is missing: add {header or 'it'}"
        case "tuple_type" if not header:
            return "write a list in square brackets"
        case "tuple_type" | "model_type" if header and isinstance(reduce(_entry, loc, document), dict | list):
            return (
                f"write {header}, with {'two pairs' if header.startswith('[[') else 'one pair'} of brackets"
            )
        case _ if header:
            return f"write it as a table that begins with {header}"
        case _:
            return "this does not belong here: compare it with herald.example.toml"


def _keys(section: type[Section]) -> list[str]:
    return [field.alias or name for name, field in section.model_fields.items()]


def _header(loc: Location) -> str:
    """Return the line that begins the table at that place, or nothing if no table belongs there."""
    names = [part for part in loc if isinstance(part, str)]
    if not names or names[-1] not in _TABLES:
        return ""
    path = ".".join(names)
    return f"[[{path}]]" if names[-1] in _REPEATED else f"[{path}]"


def _entry(table: Any, key: int | str) -> Any:
    try:
        return table[key]
    except (LookupError, TypeError):
        return None


def _place(loc: Location, document: Any) -> str:
    """Return the place for people: servers and audiences by name where they have one, else by number."""
    named: list[str] = []
    key: list[str] = []
    for part in loc:
        document = _entry(document, part)
        if isinstance(part, str):
            key.append(part)
        elif name := _name_in(document):
            named.append(f"{'.'.join(key)} “{name}”")
            key.clear()
        else:
            key.append(str(part + 1))
    places = [part for part in (", ".join(named), ".".join(key)) if part]
    return "".join(f"{part}: " for part in places)


def _name_in(table: Any) -> str:
    try:
        return str(read_name(_entry(table, "name")))
    except ValueError:
        return ""
