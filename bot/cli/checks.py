"""`herald check`, as far as it asks others: the database, Discord and Whop."""

from collections.abc import Sequence

from rich.markup import escape

from bot import log
from bot.accounts import Keyed
from bot.cli.files import out
from bot.cli.loop import complete
from bot.cli.proof import chosen, proven
from bot.clock import utc_now
from bot.policy.audience import UsersInExperience
from bot.policy.model import Policy
from bot.preflight import (
    Answer,
    ask_discord,
    check_whop,
    find_uncounted,
    look_at_database,
    look_at_files,
    look_at_mirror,
    look_at_templates,
    look_up_proof,
)
from bot.settings import Settings


def agree(
    settings: Settings,
    policy: Policy,
    keyed: Sequence[Keyed],
    target: UsersInExperience | None,
    *,
    account: str | None,
    yes: bool,
) -> bool:
    """Say what is to be mended, and return whether nothing is; then prove a key with `target`, if any."""
    proving = chosen(keyed, account) if target else None
    if proving and proving.account.version_date is None:
        proving = None
    for one in keyed:
        if one != proving:
            name = f"{one.account.name}: " if len(keyed) > 1 else ""
            out.print(_shown(f"- {name}{complete(look_up_proof(settings, one.account))}"))
    # What waits is no mistake in the files: it does not keep a script from starting what would post it.
    now, file = utc_now(), str(settings.herald_config)
    for sentence in (
        *look_at_files(settings),
        *look_at_mirror(settings, policy, now=now),
        *look_at_templates(policy, file=file, now=now),
    ):
        out.print(f"[yellow]![/] {_shown(sentence)}")
    at_whop, at_discord = complete(_ask(settings, policy, keyed))
    for sentence in (*at_whop.notes, *at_discord.notes):
        out.print(f"[yellow]![/] {_shown(sentence)}")
    problems = [*look_at_database(settings), *at_whop.problems, *at_discord.problems]
    for sentence in problems:
        out.print(f"[red]✗[/] {_shown(sentence)}")
    if problems:
        if proving:
            out.print("- Nothing was sent to prove the key: mend this first.")
        return False
    out.print("[green]✓[/] Discord and Whop agree.")
    return proving is None or target is None or proven(settings, proving, target, yes=yes)


async def _ask(settings: Settings, policy: Policy, keyed: Sequence[Keyed]) -> tuple[Answer, Answer]:
    at_whop = Answer([], [])
    for one in keyed:
        async with one.transport() as transport:
            problems = [sentence async for sentence in check_whop(policy, one.account, transport)]
            at_whop.problems.extend(problems)
            if not problems:
                at_whop.notes.extend(await find_uncounted(policy, one.account, transport, now=utc_now()))
    return at_whop, await ask_discord(policy, settings.discord_token.get_secret_value())


def _shown(sentence: str) -> str:
    """Return a sentence in which others have a part, as it may be printed."""
    return escape(log.redacted(sentence))
