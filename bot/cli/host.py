"""What the host may say to a database beside whoever runs on it: freeze, unfreeze, migrate."""

from pathlib import Path

from bot.accounts import accounts_of
from bot.cli.files import load, load_settings, out
from bot.cli.loop import complete
from bot.clock import utc_now
from bot.errors import ConfigurationError, NotAllowed
from bot.freeze import HOST, Freeze
from bot.lifecycle import Lifecycle
from bot.policy.model import Policy
from bot.settings import Settings
from bot.store import Store, Transaction


def freeze(reason: str, env_file: Path, *, account: str | None) -> None:
    """Halt all sending, or that of an account; raise Conflict if it is halted already."""
    settings, policy = load(env_file)
    _check_account(policy, account)
    complete(_freeze(settings, policy, reason, account))
    by = f" by {account}" if account else ""
    out.print(f"[green]✓[/] Sending{by} is frozen. What is under way is finished; nothing new starts.")


def unfreeze(env_file: Path, *, account: str | None) -> None:
    """Lift the freezes of others, or that of an account; raise NotAllowed if only the host's own stand."""
    settings, policy = load(env_file)
    _check_account(policy, account)
    lifted = complete(_unfreeze(settings, policy, account))
    out.print(f"[green]✓[/] {lifted} freeze(s) lifted.")


def migrate(env_file: Path) -> None:
    """Bring the database up to date."""
    settings = load_settings(env_file)
    complete(_migrate(settings))
    out.print(f"[green]✓[/] {settings.database} is up to date.")


def _check_account(policy: Policy, account: str | None) -> None:
    names = policy.account_names
    if account is not None and account not in names:
        raise ConfigurationError(
            f"--account: there is no account “{account[:60]}”: name one of {', '.join(names)}."
        )


async def _freeze(settings: Settings, policy: Policy, reason: str, account: str | None) -> None:
    wanted = Freeze(guild_id=None, account=account, by=HOST, at=utc_now(), reason=reason)
    address = settings.database_url.get_secret_value()
    async with Store.open(address, alone=False) as store:
        await store.write(lifecycle_of(settings, policy).freeze, wanted)


async def _unfreeze(settings: Settings, policy: Policy, account: str | None) -> int:
    address = settings.database_url.get_secret_value()
    async with Store.open(address, alone=False) as store:
        return await store.write(_lift, lifecycle_of(settings, policy), account)


def _lift(tx: Transaction, lifecycle: Lifecycle, account: str | None) -> int:
    standing = [one for one in tx.freezes.standing() if account in {None, one.account}]
    others = [freeze for freeze in standing if freeze.by != HOST]
    if standing and not others:
        raise NotAllowed("The host froze it, so somebody in Discord has to lift it: /notify unfreeze.")
    for one in others:
        lifecycle.unfreeze(tx, one, HOST)
    return len(others)


async def _migrate(settings: Settings) -> None:
    async with Store.open(settings.database_url.get_secret_value()):
        pass


def lifecycle_of(settings: Settings, policy: Policy) -> Lifecycle:
    """Return what every step needs, as both files say."""
    return Lifecycle(policy=policy, accounts=accounts_of(settings, policy), clock=utc_now)
