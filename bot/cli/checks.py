"""`herald check`, as far as it asks others: the database, Discord and Whop."""

from rich.markup import escape

from bot import log
from bot.cli.files import out
from bot.cli.loop import complete
from bot.cli.proof import proven
from bot.clock import utc_now
from bot.policy.model import Policy, UsersInExperience
from bot.preflight import (
    Answer,
    ask_discord,
    check_whop,
    look_at_database,
    look_at_mirror,
    look_up_proof,
)
from bot.settings import Settings
from bot.whop import WhopGateway
from bot.whop.transport import Transport


def agree(
    settings: Settings, policy: Policy, gateway: WhopGateway, target: UsersInExperience | None, *, yes: bool
) -> bool:
    """Say what is to be mended, and return whether nothing is; then prove the key with `target`, if any."""
    if target is None or gateway.version_date is None:
        target = None
        out.print(_shown(f"- {complete(look_up_proof(settings, gateway))}"))
    # What waits is no mistake in the files: it does not keep a script from starting what would post it.
    for sentence in look_at_mirror(settings, policy, now=utc_now()):
        out.print(f"[yellow]![/] {_shown(sentence)}")
    at_whop, at_discord = complete(_ask(settings, policy, gateway))
    for sentence in at_discord.notes:
        out.print(f"[yellow]![/] {_shown(sentence)}")
    problems = [*look_at_database(settings), *at_whop, *at_discord.problems]
    for sentence in problems:
        out.print(f"[red]✗[/] {_shown(sentence)}")
    if problems:
        if target:
            out.print("- Nothing was sent to prove the key: mend this first.")
        return False
    out.print("[green]✓[/] Discord and Whop agree.")
    return target is None or proven(settings, target, yes=yes)


async def _ask(settings: Settings, policy: Policy, gateway: WhopGateway) -> tuple[list[str], Answer]:
    async with Transport(api_key=settings.whop_api_key) as transport:
        problems = [sentence async for sentence in check_whop(policy, gateway, transport)]
    return problems, await ask_discord(policy, settings.discord_token.get_secret_value())


def _shown(sentence: str) -> str:
    """Return a sentence in which others have a part, as it may be printed."""
    return escape(log.redacted(sentence))
