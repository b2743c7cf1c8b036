"""What the host may say to a database beside whoever runs on it: freeze, unfreeze, migrate."""

from pathlib import Path
from typing import Final

from bot.accounts import accounts_of
from bot.cli.files import load, load_settings, out
from bot.cli.loop import complete
from bot.clock import utc_now
from bot.errors import NotAllowed
from bot.freeze import Freeze
from bot.lifecycle import Lifecycle
from bot.policy.model import Policy
from bot.settings import Settings
from bot.store import Store, Transaction
from bot.value import Person

# Who acts from the command line: no member of any server.
HOST: Final = Person(0, "the host")


def freeze(reason: str, env_file: Path) -> None:
    """Halt all sending; raise Conflict if the host has done so already."""
    settings, policy = load(env_file)
    complete(_freeze(settings, policy, reason))
    out.print("[green]✓[/] Sending is frozen. What is under way is finished; nothing new starts.")


def unfreeze(env_file: Path) -> None:
    """Lift the freezes of others; raise NotAllowed if only the host's own stand."""
    settings, policy = load(env_file)
    lifted = complete(_unfreeze(settings, policy))
    out.print(f"[green]✓[/] {lifted} freeze(s) lifted.")


def migrate(env_file: Path) -> None:
    """Bring the database up to date."""
    settings = load_settings(env_file)
    complete(_migrate(settings))
    out.print(f"[green]✓[/] {settings.database} is up to date.")


async def _freeze(settings: Settings, policy: Policy, reason: str) -> None:
    wanted = Freeze(guild_id=None, by=HOST, at=utc_now(), reason=reason)
    address = settings.database_url.get_secret_value()
    async with Store.open(address, alone=False) as store:
        await store.write(lifecycle_of(settings, policy).freeze, wanted)


async def _unfreeze(settings: Settings, policy: Policy) -> int:
    address = settings.database_url.get_secret_value()
    async with Store.open(address, alone=False) as store:
        return await store.write(_lift, lifecycle_of(settings, policy))


def _lift(tx: Transaction, lifecycle: Lifecycle) -> int:
    standing = tx.freezes.standing()
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
