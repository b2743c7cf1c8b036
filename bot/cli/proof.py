"""`herald prove-key`: whether Whop honours idempotency keys."""

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

import typer
from pydantic import ValidationError
from rich.markup import escape

from bot import log
from bot.accounts import Keyed, keyed_accounts
from bot.cli.files import load_settings, out
from bot.cli.loop import complete
from bot.clock import utc_now
from bot.errors import ConfigurationError
from bot.key_trust import Verdict, keep, nothing_to_prove, prove, trial
from bot.policy.audience import UsersInExperience
from bot.policy.loading import load_policy
from bot.settings import Settings
from bot.store import Store


def prove_key(user_id: str, experience_id: str, env_file: Path, *, account: str | None, yes: bool) -> bool:
    """Prove the key of an account and return whether it is; raise ConfigurationError if there is no such."""
    settings = load_settings(env_file)
    # The one account of .env is proven before anybody has written a policy.
    policy = load_policy(settings.herald_config) if settings.herald_config.exists() else None
    keyed = chosen(keyed_accounts(settings, policy), account)
    if keyed.account.version_date is None:
        raise ConfigurationError(f"WHOP_API: {nothing_to_prove(keyed.account.gateway)}")
    return proven(settings, keyed, own_user(user_id, experience_id), yes=yes)


def chosen(keyed: Sequence[Keyed], account: str | None) -> Keyed:
    """Return the account of that name, or the only one; raise ConfigurationError if it is not clear which."""
    found = [one for one in keyed if account in {None, one.account.name}]
    if len(found) == 1:
        return found[0]
    names = ", ".join(one.account.name for one in keyed)
    if account is None:
        raise ConfigurationError(f"--account: there are several accounts: name one of {names}.")
    raise ConfigurationError(f"--account: there is no account “{account[:60]}”: name one of {names}.")


def proven(settings: Settings, keyed: Keyed, target: UsersInExperience, *, yes: bool) -> bool:
    """Ask whether to, prove the key, and say what came of it."""
    place = f"{keyed.account.environment} ({keyed.account.origin})"
    whom = f"{target.users[0]} in {target.experience}"
    if not yes:
        typer.confirm(f"Send a test notification twice to {whom}, at {place}?", abort=True)
    if settings.has_database_file:
        # It may be the first to use the database; where that fails, opening it says why.
        with suppress(OSError):
            settings.database_file.parent.mkdir(parents=True, exist_ok=True)
    verdict = complete(_prove(settings, keyed, target))
    out.print(f"[{'green' if verdict.honoured else 'red'}]{'✓' if verdict.honoured else '✗'}[/] ", end="")
    out.print(escape(log.redacted(verdict.words)))
    if not verdict.honoured:
        out.print("Nothing is proven by this; herald check says what holds.")
        return False
    out.print("Idempotency keys are proven for this API key: a Herald that runs goes by that from now on.")
    return True


async def _prove(settings: Settings, keyed: Keyed, target: UsersInExperience) -> Verdict:
    request = trial(keyed.account.gateway, target, new_key=lambda: str(uuid4()))
    address = settings.database_url.get_secret_value()
    async with Store.open(address, alone=False) as store, keyed.transport() as transport:
        verdict = await prove(request, transport)
        await store.write(keep, keyed.account, verdict, at=utc_now())
    return verdict


def own_user(user_id: str, experience_id: str) -> UsersInExperience:
    """Return whom the test notification goes to; raise ConfigurationError for what are no such ids."""
    try:
        return UsersInExperience(experience=experience_id, users=(user_id,))
    except ValidationError as error:
        wrong = {item["loc"][0] for item in error.errors(include_url=False, include_input=False)}
    sentences = {
        "users": "USER_ID: write a Whop id that begins with user_.",
        "experience": "EXPERIENCE_ID: write a Whop id that begins with exp_.",
    }
    raise ConfigurationError("\n".join(sentence for name, sentence in sentences.items() if name in wrong))
