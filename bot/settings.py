"""Secrets and addresses, from the environment or .env: one frozen value."""

import ipaddress
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from bot.errors import ConfigurationError

WHOP_HOSTS = frozenset({"api.whop.com", "sandbox-api.whop.com"})


def _secret(value: SecretStr) -> SecretStr:
    text = value.get_secret_value()
    if not text or text != text.strip() or not text.isascii() or not text.isprintable():
        raise ValueError("it is empty or has spaces in it: paste the value again, without quotes or spaces")
    return value


def _whop_address(value: str) -> str:
    url = urlsplit(value)
    if url.path.strip("/") or url.query or url.fragment or url.username:
        raise ValueError("write the address only up to the host, such as https://api.whop.com")
    loopback = url.scheme == "http" and is_loopback(url.hostname or "")
    if not loopback and (url.scheme != "https" or url.netloc not in WHOP_HOSTS):
        raise ValueError(f"write https:// and one of Whop's hosts: {' or '.join(sorted(WHOP_HOSTS))}")
    return f"{url.scheme}://{url.netloc}"


def _database(value: str) -> str:
    try:
        url = make_url(value)
    except ArgumentError:
        url = None
    if url is None or url.drivername != "sqlite" or not url.database or url.database == ":memory:":
        raise ValueError("write sqlite:/// and a file, such as sqlite:///data/herald.db")
    return value


def _address(value: str) -> str:
    host, _, port = value.rpartition(":")
    if not host or not port.isdigit() or not 0 <= int(port) < 65536:
        raise ValueError("write host:port, such as 127.0.0.1:8080")
    return value


def is_loopback(host: str) -> bool:
    """Tell whether the host is this machine and nothing else."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class Settings(BaseSettings):
    """What differs from host to host, and what must stay secret."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore", env_ignore_empty=True)

    discord_token: Annotated[SecretStr, AfterValidator(_secret)]
    whop_api_key: Annotated[SecretStr, AfterValidator(_secret)]
    # No default: the two generations reach different people with the same words.
    whop_api: Literal["v1", "v5"]
    whop_base_url: Annotated[str, AfterValidator(_whop_address)] = "https://api.whop.com"
    database_url: Annotated[str, AfterValidator(_database)] = "sqlite:///data/herald.db"
    herald_config: Path = Path("herald.toml")
    health_address: Annotated[str, AfterValidator(_address)] = "127.0.0.1:8080"
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_format: Literal["console", "json"] = "console"

    @classmethod
    def load(cls, env_file: Path | None = Path(".env")) -> Self:
        """Read the environment, then `env_file`; raise ConfigurationError naming each key to mend."""
        try:
            return cls(_env_file=env_file)  # pyright: ignore[reportCallIssue] - pydantic-settings fills it
        except ValidationError as error:
            raise ConfigurationError("\n".join(_sentences(error, env_file))) from None

    @property
    def database_file(self) -> Path:
        """Return the file of the embedded database."""
        return Path(make_url(self.database_url).database or "")

    @property
    def environment(self) -> str:
        """Return the words that tell people where a send would go."""
        host = urlsplit(self.whop_base_url).hostname or ""
        if is_loopback(host):
            return "simulated Whop"
        return "Whop sandbox" if host.startswith("sandbox") else "Whop production"

    def secrets(self) -> tuple[str, ...]:
        """Return what no log line may contain."""
        return (self.discord_token.get_secret_value(), self.whop_api_key.get_secret_value())


_HINTS: Mapping[str, str] = {
    "discord_token": "add the bot token from the Discord developer portal",
    "whop_api_key": "add your Whop app's API key",
    "whop_api": "write v1 (what Whop documents today) or v5 (the older app API); there is no default",
    "log_level": "write debug, info, warning or error",
    "log_format": "write console or json",
}


def _sentences(error: ValidationError, env_file: Path | None) -> list[str]:
    return [_sentence(item, env_file) for item in error.errors(include_url=False, include_input=False)]


def _sentence(item: Any, env_file: Path | None) -> str:
    name = str(item["loc"][0])
    hint = _HINTS.get(name, "")
    if item["type"] == "missing":
        problem = f"it is missing: {hint}"
    elif item["type"] == "literal_error":
        problem = f"it is not one of the values: {hint}"
    else:
        problem = item["msg"].removeprefix("Value error, ").rstrip(".")
    return f"{env_file or 'the environment'}: {name.upper()}: {problem}."
