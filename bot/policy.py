"""The policy: servers, roles, rules, topics and named audiences, read from herald.toml."""

import difflib
import re
import tomllib
import unicodedata
from collections.abc import Mapping, Sequence, Set
from datetime import timedelta
from functools import reduce
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, Final, Self, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)

from bot.errors import ConfigurationError

_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
T = TypeVar("T")


def _snowflake(value: object) -> object:
    # Discord's own “Copy ID” gives digits; people paste them with or without quotes.
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 20:
        value = int(value)
    if not isinstance(value, int) or not 2**22 < value < 2**63:
        raise ValueError(
            "write a Discord id, the long number that “Copy ID” gives, such as 104900000000000000"
        )
    return value


def _span(text: object) -> timedelta | None:
    match = re.fullmatch(r"([0-9]{1,6})\s*([smhd])", text) if isinstance(text, str) else None
    return timedelta(**{_UNITS[match[2]]: int(match[1])}) if match else None


def _duration(least: str, most: str) -> BeforeValidator:
    low, high = _span(least), _span(most)

    def check(value: object) -> object:
        span = value if isinstance(value, timedelta) else _span(value)
        if span is None or low is None or high is None or not low <= span <= high:
            raise ValueError(
                f'write a duration from "{least}" to "{most}", such as "60s", "15m", "24h" or "7d"'
            )
        return span

    return BeforeValidator(check)


def _whole(least: int, most: int) -> BeforeValidator:
    def check(value: object) -> object:
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            raise ValueError(f"write a whole number from {least} to {most}, without quotes")
        return value

    return BeforeValidator(check)


def _name(value: object) -> object:
    text = value.strip() if isinstance(value, str) else ""
    # Discord shows at most 100 characters of a choice.
    if not 0 < len(text) <= 100 or any(unicodedata.category(ch) in {"Cc", "Zl", "Zp"} for ch in text):
        raise ValueError("write 1 to 100 characters in quotes, on one line")
    return text


def _topic_id(value: object) -> object:
    if not isinstance(value, str) or not re.fullmatch(r"[A-Za-z0-9._-]{1,100}", value):
        raise ValueError("write 1 to 100 letters, digits, dots, dashes or underscores, in quotes")
    return value


def _whop_id(prefix: str) -> BeforeValidator:
    def check(value: object) -> object:
        if not isinstance(value, str) or not re.fullmatch(prefix + r"_[A-Za-z0-9]+", value):
            raise ValueError(f"write a Whop id that begins with {prefix}_, in quotes")
        return value

    return BeforeValidator(check)


def _some(values: tuple[T, ...]) -> tuple[T, ...]:
    if not values:
        raise ValueError("write at least one entry")
    return values


def _distinct(values: tuple[T, ...]) -> tuple[T, ...]:
    if len(set(values)) != len(values):
        raise ValueError("the same value stands in it twice: remove one")
    return values


Snowflake = Annotated[int, BeforeValidator(_snowflake)]
Approvals = Annotated[int, _whole(1, 20)]
Name = Annotated[str, BeforeValidator(_name)]
UserId = Annotated[str, _whop_id("user")]
ProductId = Annotated[str, _whop_id("prod")]
CompanyId = Annotated[str, _whop_id("biz")]
ExperienceId = Annotated[str, _whop_id("exp")]

Tables = Annotated[tuple[T, ...], AfterValidator(_some)]
Several = Annotated[Tables[T], AfterValidator(_distinct)]
Roles = Several[Snowflake]


class Section(BaseModel):
    """A table of herald.toml; an unknown key in it is an error, since it may be a misspelt rule."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class UsersInExperience(Section):
    """Named people inside one experience (v1 only); they receive it as a mention."""

    experience: ExperienceId
    users: Several[UserId]


class Targets(Section):
    """Whom Whop reaches. Which kinds there are depends on the API generation."""

    users: Several[UserId] = ()
    products: Several[ProductId] = ()
    companies: Several[CompanyId] = ()
    experiences: Several[ExperienceId] = ()
    team: CompanyId | None = None
    users_in_experience: UsersInExperience | None = None

    def kinds(self) -> tuple[str, ...]:
        """Return the names of the kinds that are given."""
        return tuple(name for name in type(self).model_fields if getattr(self, name))

    @model_validator(mode="after")
    def _somebody(self) -> Self:
        if not self.kinds():
            raise ValueError(f"name at least one target: {', '.join(type(self).model_fields)}")
        return self


class Audience(Section):
    """A named set of targets; nobody types a raw id to reach customers."""

    name: Name
    targets: Targets
    approvals: Approvals | None = None

    def definition(self) -> Mapping[str, object]:
        """Return what is fingerprinted: the name people approve, and whom it reaches."""
        return {"name": self.name, "targets": self.targets.model_dump(mode="json")}


class Topic(Section):
    """v5: an identifier registered with Whop. v1: a label for policy and history."""

    id: Annotated[str, BeforeValidator(_topic_id)]
    name: Name


class Channels(Section):
    """Where Herald posts."""

    review: Snowflake
    audit: Snowflake


class ActionRoles(Section):
    """The Discord roles that may take each kind of action."""

    compose: Roles
    approve: Roles
    operate: Roles
    audit: Roles


class Rules(Section):
    """What a broadcast has to pass."""

    approvals: Approvals = 1
    undo_window: Annotated[timedelta, _duration("0s", "1h")] = timedelta(seconds=60)
    review_expires: Annotated[timedelta, _duration("5m", "30d")] = timedelta(hours=24)
    missed_after: Annotated[timedelta, _duration("1m", "20h")] = timedelta(minutes=15)


class Server(Section):
    """One Discord server and its rules."""

    name: Name
    guild: Snowflake
    channels: Channels
    roles: ActionRoles
    rules: Rules = Rules()
    topics: Annotated[Tables[Topic], Field(alias="topic")]
    audiences: Annotated[Tables[Audience], Field(alias="audience")]

    def audience(self, name: str) -> Audience | None:
        """Return the audience of that name."""
        return next((audience for audience in self.audiences if audience.name == name), None)

    def topic(self, identifier: str) -> Topic | None:
        """Return the topic with that identifier."""
        return next((topic for topic in self.topics if topic.id == identifier), None)

    def quorum(self, audience: str) -> int:
        """Return how many approvals a broadcast to that audience needs."""
        named = self.audience(audience)
        return (named.approvals if named else None) or self.rules.approvals

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        _refuse_twins("audience", [audience.name for audience in self.audiences])
        _refuse_twins("topic", [topic.id for topic in self.topics])
        _refuse_twins("topic", [topic.name for topic in self.topics])
        for name, roles in self.roles:
            if self.guild in roles:
                raise ValueError(
                    f"roles.{name}: {self.guild} is the server itself, which as a role is @everyone:"
                    " name a role that only some have"
                )
        for audience in self.audiences:
            if audience.approvals is not None and audience.approvals < self.rules.approvals:
                raise ValueError(
                    f"audience “{audience.name}”: approvals: {audience.approvals} is laxer than the server's"
                    f" rules: write at least {self.rules.approvals}, or remove the line"
                )
        return self


def _refuse_twins(what: str, values: Sequence[str]) -> None:
    seen: dict[str, str] = {}
    for value in values:
        # People would not tell apart what differs in case or in composition only.
        key = unicodedata.normalize("NFKC", value).casefold()
        if key in seen:
            raise ValueError(f"{what} “{value}” is there already, as “{seen[key]}”: rename or remove one")
        seen[key] = value


class Policy(Section):
    """All of herald.toml."""

    servers: Annotated[Tables[Server], Field(alias="server")]

    def server(self, guild_id: int | None) -> Server | None:
        """Return the server with that Discord guild id."""
        return next((server for server in self.servers if server.guild == guild_id), None)

    @model_validator(mode="after")
    def _distinct_guilds(self) -> Self:
        names: dict[int, str] = {}
        for server in self.servers:
            if server.guild in names:
                raise ValueError(
                    f"server “{server.name}”: guild: “{names[server.guild]}” has the same id:"
                    " correct it, or remove one of the two"
                )
            names[server.guild] = server.name
        return self


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
        "server": Server,
        "channels": Channels,
        "roles": ActionRoles,
        "rules": Rules,
        "topic": Topic,
        "audience": Audience,
        "targets": Targets,
        "users_in_experience": UsersInExperience,
    }
)
_REPEATED: Final = frozenset({"server", "topic", "audience"})


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
        return str(_name(_entry(table, "name")))
    except ValueError:
        return ""
