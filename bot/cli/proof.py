"""`herald prove-key`: whether Whop honours idempotency keys."""

from contextlib import suppress
from pathlib import Path
from uuid import uuid4

import typer
from pydantic import ValidationError
from rich.markup import escape

from bot import log
from bot.cli.files import load_settings, out
from bot.cli.loop import complete
from bot.clock import utc_now
from bot.errors import ConfigurationError
from bot.key_trust import Credential, Verdict, keep, nothing_to_prove, prove, trial
from bot.policy.model import UsersInExperience
from bot.settings import Settings
from bot.store import Store
from bot.whop import gateway_for
from bot.whop.transport import Transport


def prove_key(user_id: str, experience_id: str, env_file: Path, *, yes: bool) -> bool:
    """Prove the key of that file and return whether it is; raise ConfigurationError if there is no such."""
    settings = load_settings(env_file)
    gateway = gateway_for(settings.whop_api, origin=settings.whop_base_url)
    if gateway.version_date is None:
        raise ConfigurationError(f"WHOP_API: {nothing_to_prove(gateway)}")
    return proven(settings, own_user(user_id, experience_id), yes=yes)


def proven(settings: Settings, target: UsersInExperience, *, yes: bool) -> bool:
    """Ask whether to, prove the key, and say what came of it."""
    place = f"{settings.environment} ({settings.whop_base_url})"
    whom = f"{target.users[0]} in {target.experience}"
    if not yes:
        typer.confirm(f"Send a test notification twice to {whom}, at {place}?", abort=True)
    if settings.has_database_file:
        # It may be the first to use the database; where that fails, opening it says why.
        with suppress(OSError):
            settings.database_file.parent.mkdir(parents=True, exist_ok=True)
    verdict = complete(_prove(settings, target))
    out.print(f"[{'green' if verdict.honoured else 'red'}]{'✓' if verdict.honoured else '✗'}[/] ", end="")
    out.print(escape(log.redacted(verdict.words)))
    if not verdict.honoured:
        out.print("Nothing is proven by this; herald check says what holds.")
        return False
    out.print("Idempotency keys are proven for this API key: a Herald that runs goes by that from now on.")
    return True


async def _prove(settings: Settings, target: UsersInExperience) -> Verdict:
    gateway = gateway_for(settings.whop_api, origin=settings.whop_base_url)
    credential = Credential.of(gateway, origin=settings.whop_base_url, api_key=settings.whop_api_key)
    request = trial(gateway, target, new_key=lambda: str(uuid4()))
    async with (
        Store.open(settings.database_url.get_secret_value(), alone=False) as store,
        Transport(api_key=settings.whop_api_key) as transport,
    ):
        verdict = await prove(request, transport)
        await store.write(keep, credential, verdict, at=utc_now())
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
