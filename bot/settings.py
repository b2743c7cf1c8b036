"""Secrets and addresses, from the environment or .env: one frozen value."""

import difflib
import os
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, Self, cast
from urllib.parse import urlsplit

from dotenv import dotenv_values
from dotenv.parser import Binding, parse_stream
from pydantic import AfterValidator, PrivateAttr, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from bot.errors import ConfigurationError
from bot.origin import PRODUCTION, read_origin

if TYPE_CHECKING:
    from sqlalchemy import URL

# What the address of a file begins with; the rest is its path.
_FILE: Final = "sqlite:///"
# The variable that holds the key of the one account of .env.
API_KEY: Final = "WHOP_API_KEY"
# Far less than any token of Discord or key of Whop has.
SECRET_LENGTH: Final = 10


def _secret(value: SecretStr) -> SecretStr:
    if not re.fullmatch(r"[!#-&(-~]+", value.get_secret_value()):
        raise ValueError("it has spaces, quotes or foreign letters in it: paste the value again without them")
    if len(value.get_secret_value()) < SECRET_LENGTH:
        raise ValueError("it is too short to be one: paste the whole value again")
    return value


def _database(value: SecretStr) -> SecretStr:
    url = value.get_secret_value()
    if not _names_a_file(url) and not _names_a_server(url):
        raise ValueError(
            "write sqlite:/// and a file, such as sqlite:///data/herald.db,"
            " or postgresql+psycopg://user:password@host/name"
        )
    return value


def _names_a_file(url: str) -> bool:
    path = url.removeprefix(_FILE)
    # With two slashes the folder would be a host; a query could make mere memory of the file.
    return path != url and bool(path.strip()) and not path.endswith(("/", ":memory:")) and "?" not in path


def _names_a_server(url: str) -> bool:
    try:
        parts = _parts(url)
    except ValueError:
        return False
    # A host in the query is a folder with a socket; a password there would be hidden by nobody.
    return (
        parts.drivername == "postgresql+psycopg"
        and bool(parts.database)
        and bool(parts.host or parts.query.get("host"))
        # What stands behind a second @ would be taken for the host, and told in every sentence about it.
        and "@" not in (parts.host or "")
        and not any("password" in key or "secret" in key for key in parts.query)
    )


def _parts(url: str) -> "URL":
    """Take a server's address apart; raise ValueError if it is none."""
    # Most databases are files, and not every command opens one: neither has to read all of SQLAlchemy.
    from sqlalchemy import make_url  # noqa: PLC0415
    from sqlalchemy.exc import ArgumentError  # noqa: PLC0415

    try:
        return make_url(url)
    except ArgumentError as error:
        raise ValueError(str(error)) from None


def _address(value: str) -> str:
    match = re.fullmatch(r"(\[[0-9A-Fa-f:]+\]|[A-Za-z0-9.-]+):([0-9]{1,5})", value)
    if match is None or int(match[2]) > 65535:
        raise ValueError("write host:port, such as 127.0.0.1:8080")
    return f"{match[1].strip('[]')}:{match[2]}"


_CONFIG: Final = SettingsConfigDict(
    # Pydantic's own words would quote what was given, secrets included.
    frozen=True,
    extra="ignore",
    env_ignore_empty=True,
    hide_input_in_errors=True,
)


class _Outline(BaseSettings):
    """What decides which settings are needed: whether there are accounts in herald.toml, or one here."""

    model_config = _CONFIG

    herald_config: Path = Path("herald.toml")
    whop_api_key: SecretStr | None = None
    whop_api: str | None = None

    def lacks(self, named: Sequence[str] | None) -> list[str]:
        """Return what is missing of the one account, where herald.toml names none."""
        return (
            []
            if named is not None
            else [one for one in ("whop_api_key", "whop_api") if not getattr(self, one)]
        )


class Settings(BaseSettings):
    """What differs from host to host, and what must stay secret."""

    model_config = _CONFIG

    discord_token: Annotated[SecretStr, AfterValidator(_secret)]
    # Of the one account, where herald.toml names no others.
    whop_api_key: Annotated[SecretStr, AfterValidator(_secret)] | None = None
    # No guess: the two generations reach different people with the same words.
    whop_api: Literal["v1", "v5"] | None = None
    whop_base_url: Annotated[str, AfterValidator(read_origin)] = PRODUCTION
    # A server's holds a password.
    database_url: Annotated[SecretStr, AfterValidator(_database)] = SecretStr("sqlite:///data/herald.db")
    herald_witness: Path | None = None
    herald_config: Path = Path("herald.toml")
    health_address: Annotated[str, AfterValidator(_address)] = "127.0.0.1:8080"
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_format: Literal["console", "json"] = "console"
    _keys: Mapping[str, SecretStr] = PrivateAttr(default_factory=dict)

    @classmethod
    def load(cls, env_file: Path | None = Path(".env")) -> Self:
        """Read the environment, then `env_file`; raise ConfigurationError naming each key to mend.

        The keys of herald.toml's accounts are read too, so that whoever has the settings knows all secrets.
        """
        lines = _lines(env_file) if env_file else ()
        outline = _Outline(_env_file=env_file)  # pyright: ignore[reportCallIssue] - as below
        named = _variables(outline.herald_config)
        if problems := list(_faults(lines, f"{env_file}", named)):
            raise ConfigurationError("\n".join(problems))
        items = [{"type": "missing", "loc": (name,)} for name in outline.lacks(named)]
        try:
            loaded = cls(_env_file=env_file)  # pyright: ignore[reportCallIssue] - pydantic-settings fills it
        except ValidationError as error:
            items += error.errors(include_url=False, include_input=False)
        else:
            if not items:
                return loaded.with_keys(_keys(named or (), env_file))
        raise ConfigurationError("\n".join(_sentences(items, env_file)))

    def with_keys(self, keys: Mapping[str, SecretStr]) -> Self:
        """Return the same settings with the keys of herald.toml's accounts, by their variables."""
        copy = self.model_copy()
        copy._keys = dict(keys)  # noqa: SLF001 - of the same kind
        return copy

    def key(self, variable: str) -> SecretStr | None:
        """Return the API key that a variable holds, or None if it is not set."""
        return self.whop_api_key if variable == API_KEY else self._keys.get(variable)

    def __reduce__(self) -> str:
        """Refuse to be pickled: the secrets would stand in it as they are."""
        raise TypeError("settings hold secrets: they are not pickled")

    @property
    def database(self) -> str:
        """Return the file of the embedded database, or a server's address without the password."""
        if self.has_database_file:
            return str(self.database_file)
        return _parts(self.database_url.get_secret_value()).render_as_string()

    @property
    def database_file(self) -> Path:
        """Return the file of the embedded database; raise LookupError if there is none."""
        url = self.database_url.get_secret_value()
        if not _names_a_file(url):
            raise LookupError("the database is a server's")
        return Path(url.removeprefix(_FILE))

    @property
    def has_database_file(self) -> bool:
        """Tell whether the database is a file of this machine's, which only one process may have."""
        return _names_a_file(self.database_url.get_secret_value())

    @property
    def witness_file(self) -> Path:
        """Return the file that knows how far the database had come: beside it, unless HERALD_WITNESS says."""
        if self.herald_witness is not None:
            return self.herald_witness
        if not self.has_database_file:
            return Path("data/herald.witness")
        return self.database_file.with_suffix(".witness")

    def secrets(self) -> tuple[str, ...]:
        """Return what no log line may contain."""
        url = self.database_url.get_secret_value()
        # As the server wants it, and as it stands in the URL.
        passwords = () if _names_a_file(url) else {_parts(url).password, urlsplit(url).password}
        return (
            self.discord_token.get_secret_value(),
            *(one.get_secret_value() for one in (self.whop_api_key, *self._keys.values()) if one),
            *filter(None, passwords),
        )


def _variables(config: Path) -> Sequence[str] | None:
    """Return the variables that hold the keys of herald.toml's accounts, or None if it has no account.

    What else is in that file, and what is wrong with it, is told by whoever reads all of it.
    """
    try:
        tables = tomllib.loads(config.read_text(encoding="utf-8-sig"))["whop"]
    except (OSError, ValueError, KeyError):
        return None
    found = cast("list[Any]", tables) if isinstance(tables, list) else []
    named = [cast("dict[str, Any]", one).get("key") for one in found if isinstance(one, dict)]
    return [name for name in named if isinstance(name, str)]


def _keys(named: Sequence[str], env_file: Path | None) -> Mapping[str, SecretStr]:
    """Return those of the variables that are set; raise ConfigurationError for what is no key."""
    in_file = dotenv_values(env_file, encoding="utf-8") if env_file else {}
    found = {name: os.environ.get(name) or in_file.get(name) for name in named}
    keys = {name: SecretStr(value) for name, value in found.items() if value}
    problems: list[str] = []
    for name, key in keys.items():
        try:
            _secret(key)
        except ValueError as error:
            problems.append(f"{_source(name, env_file)}: {name}: {error}.")
    if problems:
        raise ConfigurationError("\n".join(problems))
    return keys


_NAMES: Final = tuple(name.upper() for name in Settings.model_fields)
_HINTS: Final[Mapping[str, str]] = {
    "discord_token": "add the bot token from the Discord developer portal",
    "whop_api_key": "add your Whop app's API key",
    "whop_api": "write v1 (what Whop documents today) or v5 (the older app API); there is no default",
    "log_level": "write debug, info, warning or error",
    "log_format": "write console or json",
}


def _faults(lines: Sequence[Binding], env_file: str, named: Sequence[str] | None) -> Iterator[str]:
    """Yield a sentence for each line that would be passed over in silence; no value is repeated."""
    seen: set[str] = set()
    for binding in lines:
        text = binding.original.string
        number = binding.original.line + text[: len(text) - len(text.lstrip())].count("\n")
        if binding.error or (binding.key and binding.value is None):
            # A line without a name may be a pasted secret: only its number is told.
            yield f"{env_file}: line {number}: it is no name with a value: write NAME=value, or # before it."
        elif binding.key:
            name = binding.key.upper()
            if name in seen and name in _NAMES:
                yield f"{env_file}: {name}: it stands in the file twice: remove one."
            if not _holds_a_key(binding.key, named) and (fault := _misspelt(name)):
                # A pasted secret may have an equals sign in it.
                told = name if re.fullmatch(r"[A-Z_]+", name) else f"line {number}"
                yield f"{env_file}: {told}: {fault}"
            seen.add(name)


def _lines(env_file: Path) -> Sequence[Binding]:
    try:
        with env_file.open(encoding="utf-8") as stream:
            return list(parse_stream(stream))
    except FileNotFoundError:
        return ()
    except OSError as error:
        problem = f"{env_file}: it cannot be read ({error.strerror}): mend the file or its rights."
    except UnicodeDecodeError:
        problem = f"{env_file}: it cannot be read: save it as a text file in UTF-8."
    raise ConfigurationError(problem)


def _holds_a_key(name: str, named: Sequence[str] | None) -> bool:
    """Tell whether it is, or may be, the variable of an account's key: a misspelt one is missed there."""
    return named is not None and (name in named or (name.startswith("WHOP_") and name not in _NAMES))


def _misspelt(name: str) -> str | None:
    if name in _NAMES:
        return None
    # Others may keep their variables in the same file, but what looks like ours is a setting gone astray.
    alike = difflib.get_close_matches(name, _NAMES, n=1, cutoff=0.75)
    if not alike and not name.startswith(("DISCORD_", "WHOP_", "HERALD_")):
        return None
    meant = f" (did you mean {alike[0]}?)" if alike else ""
    return f"there is no such key{meant}: correct the spelling or remove it."


def _sentences(items: Sequence[Any], env_file: Path | None) -> Iterator[str]:
    items = sorted(items, key=lambda item: _NAMES.index(_name(item)))
    missing = [_name(item) for item in items if item["type"] == "missing"]
    absent = env_file is not None and not env_file.exists()
    if missing and absent:
        yield (
            f"{env_file}: there is no such file, and {_listed(missing)} not set:"
            " copy .env.example to it and fill it in."
        )
    for item in items:
        if not (absent and item["type"] == "missing"):
            yield _sentence(item, env_file)


def _sentence(item: Any, env_file: Path | None) -> str:
    name = _name(item)
    hint = _HINTS.get(name.lower(), "see .env.example")
    if item["type"] == "missing":
        problem = f"it is missing: {hint}"
    elif item["type"] == "value_error":
        problem = item["msg"].removeprefix("Value error, ")
    else:
        problem = f"it is not one of the values: {hint}"
    return f"{_source(name, env_file)}: {name}: {problem}."


def _source(name: str, env_file: Path | None) -> Path | str:
    """Return where a setting stands, or should stand: the environment wins over the file."""
    given = {key.upper() for key, value in os.environ.items() if value}
    return env_file if env_file is not None and name not in given else "the environment"


def _name(item: Any) -> str:
    return str(item["loc"][0]).upper()


def _listed(names: Sequence[str]) -> str:
    *others, last = names
    return f"{', '.join(others)} and {last} are" if others else f"{last} is"
