"""The files that a command begins with: .env and herald.toml."""

from pathlib import Path
from typing import Final

from rich.console import Console

from bot import log
from bot.policy.loading import load_policy
from bot.policy.model import Policy
from bot.settings import Settings
from bot.whop import WhopGateway, gateway_for
from bot.whop.gateway import check_policy

out: Final = Console(soft_wrap=True)


def load(env_file: Path) -> tuple[Settings, Policy]:
    """Return what both say; raise ConfigurationError with what to mend."""
    settings = load_settings(env_file)
    return settings, load_policy(settings.herald_config)


def load_settings(env_file: Path) -> Settings:
    """Return what .env and the environment say; raise ConfigurationError with what to mend."""
    settings = Settings.load(env_file)
    # At once: whatever goes wrong from here on is told without the secrets.
    log.configure(level=settings.log_level, style=settings.log_format, secrets=settings.secrets())
    return settings


def check_files(env_file: Path) -> tuple[Settings, Policy, WhopGateway]:
    """Say that both are in order, and return what they say; raise ConfigurationError with what to mend."""
    settings, policy = load(env_file)
    gateway = gateway_for(settings.whop_api, origin=settings.whop_base_url)
    check_policy(policy, gateway, file=str(settings.herald_config))
    out.print(
        f"[green]✓[/] {env_file} and {settings.herald_config} are in order: {_summary(settings, policy)}"
    )
    return settings, policy, gateway


def _summary(settings: Settings, policy: Policy) -> str:
    audiences = sum(len(server.audiences) for server in policy.servers)
    return (
        f"{len(policy.servers)} server(s), {audiences} audience(s), Whop API {settings.whop_api},"
        f" sends go to {settings.environment} ({settings.whop_base_url})"
    )
