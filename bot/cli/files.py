"""The files that a command begins with: .env and herald.toml."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from rich.console import Console

from bot import log
from bot.accounts import Keyed, keyed_accounts
from bot.policy.loading import load_policy
from bot.policy.model import Policy
from bot.settings import Settings
from bot.whop import Account
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


def check_files(env_file: Path) -> tuple[Settings, Policy, Sequence[Keyed]]:
    """Say that both are in order, and return what they say; raise ConfigurationError with what to mend."""
    settings, policy = load(env_file)
    keyed = keyed_accounts(settings, policy)
    gateways = {one.account.name: one.account.gateway for one in keyed}
    check_policy(policy, gateways, file=str(settings.herald_config))
    summary = _summary(policy, [one.account for one in keyed])
    out.print(f"[green]✓[/] {env_file} and {settings.herald_config} are in order: {summary}")
    return settings, policy, keyed


def _summary(policy: Policy, accounts: Sequence[Account]) -> str:
    audiences = sum(len(server.audiences) for server in policy.servers)
    ways = (
        f"Whop API {one.gateway.generation}, sends go to {one.environment} ({one.origin})" for one in accounts
    )
    return f"{len(policy.servers)} server(s), {audiences} audience(s), {'; '.join(ways)}"
