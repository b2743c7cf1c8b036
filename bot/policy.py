"""The policy: servers, roles, rules, topics and named audiences, read from herald.toml."""

import re
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Final, Self, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    model_validator,
)

from bot.errors import ConfigurationError

_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def _snowflake(value: object) -> object:
    # Discord's own “Copy ID” gives digits; people paste them with or without quotes.
    if isinstance(value, str) and value.isascii() and value.isdigit():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or not 2**22 < value < 2**63:
        raise ValueError(
            "write a Discord id, the long number that “Copy ID” gives, such as 104900000000000000"
        )
    return value


def _duration(value: object) -> object:
    if isinstance(value, timedelta):
        return value
    match = re.fullmatch(r"(\d{1,6})\s*([smhd])", value) if isinstance(value, str) else None
    if match is None:
        raise ValueError('write a duration such as "60s", "15m", "24h" or "7d"')
    return timedelta(**{_UNITS[match[2]]: int(match[1])})


def _one_line(value: str) -> str:
    if any(ord(ch) < 32 for ch in value):
        raise ValueError("write it on one line")
    return value


def _distinct(values: Sequence[object]) -> Sequence[object]:
    if len(set(values)) != len(values):
        raise ValueError("the same value stands in it twice: remove one")
    return values


Snowflake = Annotated[int, BeforeValidator(_snowflake)]
Duration = Annotated[timedelta, BeforeValidator(_duration)]
# Discord shows at most 100 characters of a choice.
Name = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=100), AfterValidator(_one_line)
]


def _whop_id(prefix: str) -> Callable[[str], str]:
    def check(value: str) -> str:
        if not re.fullmatch(prefix + r"_[A-Za-z0-9]+", value):
            raise ValueError(f"write a Whop id that begins with {prefix}_")
        return value

    return check


UserId = Annotated[str, AfterValidator(_whop_id("user"))]
ProductId = Annotated[str, AfterValidator(_whop_id("prod"))]
CompanyId = Annotated[str, AfterValidator(_whop_id("biz"))]
ExperienceId = Annotated[str, AfterValidator(_whop_id("exp"))]

T = TypeVar("T")
Several = Annotated[tuple[T, ...], AfterValidator(_distinct)]


Roles = Annotated[Several[Snowflake], Field(min_length=1)]


class Section(BaseModel):
    """A table of herald.toml; an unknown key in it is an error, since it may be a misspelt rule."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class UsersInExperience(Section):
    """Named people inside one experience (v1 only); they receive it as a mention."""

    experience: ExperienceId
    users: Annotated[Several[UserId], Field(min_length=1)]


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
    approvals: Annotated[int, Field(ge=1, le=20)] | None = None

    def definition(self) -> Mapping[str, object]:
        """Return what is fingerprinted: the name people approve, and whom it reaches."""
        return {"name": self.name, "targets": self.targets.model_dump(mode="json")}


class Topic(Section):
    """v5: an identifier registered with Whop. v1: a label for policy and history."""

    id: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._-]{1,100}$")]
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

    approvals: Annotated[int, Field(ge=1, le=20)] = 1
    undo_window: Annotated[Duration, Field(ge=timedelta(0), le=timedelta(hours=1))] = timedelta(seconds=60)
    review_expires: Annotated[Duration, Field(ge=timedelta(minutes=5), le=timedelta(days=30))] = timedelta(
        hours=24
    )
    missed_after: Annotated[Duration, Field(ge=timedelta(minutes=1), le=timedelta(hours=20))] = timedelta(
        minutes=15
    )


class Server(Section):
    """One Discord server and its rules."""

    name: Name
    guild: Snowflake
    channels: Channels
    roles: ActionRoles
    rules: Rules = Rules()
    topics: Annotated[tuple[Topic, ...], Field(min_length=1, alias="topic")]
    audiences: Annotated[tuple[Audience, ...], Field(min_length=1, alias="audience")]

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
        _refuse_twins("audience", [audience.name.casefold() for audience in self.audiences])
        _refuse_twins("topic", [topic.id for topic in self.topics])
        _refuse_twins("topic", [topic.name.casefold() for topic in self.topics])
        for audience in self.audiences:
            if audience.approvals is not None and audience.approvals < self.rules.approvals:
                raise ValueError(
                    f"audience “{audience.name}” asks for fewer approvals ({audience.approvals}) than the"
                    f" server's rules ({self.rules.approvals}): an audience can only be stricter"
                )
        return self


def _refuse_twins(what: str, values: Sequence[str]) -> None:
    for value in values:
        if values.count(value) > 1:
            raise ValueError(f"{what} “{value}” is named twice: rename one")


class Policy(Section):
    """All of herald.toml."""

    servers: Annotated[tuple[Server, ...], Field(min_length=1, alias="server")]

    def server(self, guild_id: int | None) -> Server | None:
        """Return the server with that Discord guild id."""
        return next((server for server in self.servers if server.guild == guild_id), None)

    @model_validator(mode="after")
    def _distinct_guilds(self) -> Self:
        _refuse_twins("guild", [str(server.guild) for server in self.servers])
        return self


def load_policy(path: Path) -> Policy:
    """Read and check herald.toml; raise ConfigurationError with one sentence for each thing to mend."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ConfigurationError(
            f"{path}: there is no such file: copy herald.example.toml to it and fill it in."
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(
            f"{path}: it cannot be read ({error}): mend the file or its rights."
        ) from None
    return parse_policy(text, name=str(path))


def parse_policy(text: str, *, name: str) -> Policy:
    """Check the text of a herald.toml; raise ConfigurationError naming the file and each key."""
    try:
        return Policy.model_validate(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(f"{name}: this is not valid TOML ({error}): mend that line.") from None
    except ValidationError as error:
        raise ConfigurationError("\n".join(f"{name}: {line}" for line in describe_errors(error))) from None


def describe_errors(error: ValidationError) -> Iterator[str]:
    """Yield a sentence for each error of pydantic's: the key, what is wrong, what to write."""
    items = error.errors(include_url=False, include_input=False)
    for item in items:
        # A list whose only entry is wrong is reported as too short as well: one sentence is enough.
        if item["type"] == "too_short" and any(_within(other["loc"], item["loc"]) for other in items):
            continue
        key = ".".join(str(part + 1) if isinstance(part, int) else part for part in item["loc"])
        yield f"{key}: {_mend(item['type'], item['msg'])}." if key else f"{_mend(item['type'], item['msg'])}."


def _within(inner: tuple[int | str, ...], outer: tuple[int | str, ...]) -> bool:
    return len(inner) > len(outer) and inner[: len(outer)] == outer


def _mend(kind: str, message: str) -> str:
    fixed = {
        "missing": "it is missing: add it",
        "extra_forbidden": "there is no such key: correct the spelling or remove it",
        "tuple_type": "write a list in square brackets",
        "too_short": "write at least one entry",
    }
    return fixed.get(kind) or message.removeprefix("Value error, ").rstrip(".")
