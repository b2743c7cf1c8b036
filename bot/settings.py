"""Secrets and addresses, from the environment or .env: one frozen value."""

import difflib
import ipaddress
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, Self
from urllib.parse import urlsplit

from dotenv.parser import Binding, parse_stream
from pydantic import AfterValidator, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from bot.errors import ConfigurationError

if TYPE_CHECKING:
    from sqlalchemy import URL

# What the address of a file begins with; the rest is its path.
_FILE: Final = "sqlite:///"
WHOP_HOSTS = frozenset({"api.whop.com", "sandbox-api.whop.com"})


def _secret(value: SecretStr) -> SecretStr:
    if not re.fullmatch(r"[!#-&(-~]+", value.get_secret_value()):
        raise ValueError("it has spaces, quotes or foreign letters in it: paste the value again without them")
    return value


def _whop_address(value: str) -> str:
    match = re.fullmatch(r"https?://([A-Za-z0-9.-]+|\[::1\])(?::([0-9]{1,5}))?/?", value)
    if match is None:
        raise ValueError("write https:// and the host, nothing after it, such as https://api.whop.com")
    host, port = match.groups("80")
    loopback = is_loopback(host.strip("[]")) and 0 < int(port) < 65536
    address = value.removesuffix("/")
    if not loopback and address not in {f"https://{known}" for known in WHOP_HOSTS}:
        raise ValueError(f"write https:// and one of Whop's hosts: {' or '.join(sorted(WHOP_HOSTS))}")
    return address


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


def may_learn_key(url: str) -> bool:
    """Tell whether a request to this address may carry the API key."""
    origin = re.match(r"[a-z]+://[^/?#@\\]+(?=/)", url)
    try:
        return origin is not None and bool(_whop_address(origin[0]))
    except ValueError:
        return False


def is_loopback(host: str) -> bool:
    """Tell whether the host is this machine and nothing else."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class Settings(BaseSettings):
    """What differs from host to host, and what must stay secret."""

    # Pydantic's own words would quote what was given, secrets included.
    model_config = SettingsConfigDict(
        frozen=True, extra="ignore", env_ignore_empty=True, hide_input_in_errors=True
    )

    discord_token: Annotated[SecretStr, AfterValidator(_secret)]
    whop_api_key: Annotated[SecretStr, AfterValidator(_secret)]
    # No default: the two generations reach different people with the same words.
    whop_api: Literal["v1", "v5"]
    whop_base_url: Annotated[str, AfterValidator(_whop_address)] = "https://api.whop.com"
    # A server's holds a password.
    database_url: Annotated[SecretStr, AfterValidator(_database)] = SecretStr("sqlite:///data/herald.db")
    herald_witness: Path | None = None
    herald_config: Path = Path("herald.toml")
    health_address: Annotated[str, AfterValidator(_address)] = "127.0.0.1:8080"
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_format: Literal["console", "json"] = "console"

    @classmethod
    def load(cls, env_file: Path | None = Path(".env")) -> Self:
        """Read the environment, then `env_file`; raise ConfigurationError naming each key to mend."""
        if problems := list(_faults(env_file)) if env_file else []:
            raise ConfigurationError("\n".join(problems))
        try:
            return cls(_env_file=env_file)  # pyright: ignore[reportCallIssue] - pydantic-settings fills it
        except ValidationError as error:
            raise ConfigurationError("\n".join(_sentences(error, env_file))) from None

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

    @property
    def environment(self) -> str:
        """Return the words that tell people where a send would go."""
        host = urlsplit(self.whop_base_url).hostname or ""
        if is_loopback(host):
            return "simulated Whop"
        return "Whop sandbox" if host.startswith("sandbox") else "Whop production"

    def secrets(self) -> tuple[str, ...]:
        """Return what no log line may contain."""
        url = self.database_url.get_secret_value()
        # As the server wants it, and as it stands in the URL.
        passwords = () if _names_a_file(url) else {_parts(url).password, urlsplit(url).password}
        return (
            self.discord_token.get_secret_value(),
            self.whop_api_key.get_secret_value(),
            *filter(None, passwords),
        )


_NAMES: Final = tuple(name.upper() for name in Settings.model_fields)
_HINTS: Final[Mapping[str, str]] = {
    "discord_token": "add the bot token from the Discord developer portal",
    "whop_api_key": "add your Whop app's API key",
    "whop_api": "write v1 (what Whop documents today) or v5 (the older app API); there is no default",
    "log_level": "write debug, info, warning or error",
    "log_format": "write console or json",
}


def _faults(env_file: Path) -> Iterator[str]:
    """Yield a sentence for each line that would be passed over in silence; no value is repeated."""
    seen: set[str] = set()
    for binding in _lines(env_file):
        text = binding.original.string
        number = binding.original.line + text[: len(text) - len(text.lstrip())].count("\n")
        if binding.error or (binding.key and binding.value is None):
            # A line without a name may be a pasted secret: only its number is told.
            yield f"{env_file}: line {number}: it is no name with a value: write NAME=value, or # before it."
        elif binding.key:
            name = binding.key.upper()
            if name in seen and name in _NAMES:
                yield f"{env_file}: {name}: it stands in the file twice: remove one."
            if fault := _misspelt(name):
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


def _misspelt(name: str) -> str | None:
    if name in _NAMES:
        return None
    # Others may keep their variables in the same file, but what looks like ours is a setting gone astray.
    alike = difflib.get_close_matches(name, _NAMES, n=1, cutoff=0.75)
    if not alike and not name.startswith(("DISCORD_", "WHOP_", "HERALD_")):
        return None
    meant = f" (did you mean {alike[0]}?)" if alike else ""
    return f"there is no such key{meant}: correct the spelling or remove it."


def _sentences(error: ValidationError, env_file: Path | None) -> Iterator[str]:
    items = error.errors(include_url=False, include_input=False)
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
    from_file = env_file is not None and name not in {
        key.upper() for key, value in os.environ.items() if value
    }
    return f"{env_file if from_file else 'the environment'}: {name}: {problem}."


def _name(item: Any) -> str:
    return str(item["loc"][0]).upper()


def _listed(names: Sequence[str]) -> str:
    *others, last = names
    return f"{', '.join(others)} and {last} are" if others else f"{last} is"
