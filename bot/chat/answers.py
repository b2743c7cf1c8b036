"""The one place that answers errors: a sentence for the person, what they typed, and a line for the log."""

import io
import logging
import re
import secrets
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager
from typing import Any, Final

import aiohttp
import discord
import structlog
from discord import app_commands
from discord.utils import MISSING

from bot.characters import isolated, reveal
from bot.errors import CommitUnknown, Refused, StoreError

log = structlog.get_logger()

SENTENCE_LIMIT: Final = 1800
# Five fields of 4000 characters, and room to spare.
ATTACHED_BYTES: Final = 128 * 1024
# Unknown interaction, unknown webhook, invalid webhook token.
_TOO_LATE: Final = frozenset({10062, 10015, 50027})
_QUOTED: Final = re.compile("“([^”]*)”")
_NOT_A_ROLE: Final = re.compile(r"<(?!@&\d+>)")


@asynccontextmanager
async def answering(interaction: discord.Interaction[Any]) -> AsyncGenerator[None, None]:
    """Answer whatever goes wrong within, where discord.py would only log it: in a button of our own."""
    try:
        yield
    except Exception as error:  # noqa: BLE001 - the one funnel tells the person and logs
        await fail(interaction, error)


async def fail(
    interaction: discord.Interaction[Any],
    error: BaseException,
    *,
    typed: str = "",
    view: discord.ui.View = MISSING,
) -> None:
    """Answer the person with one sentence, what they typed and buttons, and tell the log what it was."""
    if is_too_late(error):
        # Nobody can be answered any more, and it is nobody's fault: the network was slow, or Herald busy.
        log.warning("Discord no longer waits for this answer", asked=interaction.type.name)
        return
    try:
        await _answer(interaction, _sentence(error), typed, view)
    except (discord.HTTPException, aiohttp.ClientError, OSError) as failure:
        log.warning(
            "an answer did not reach its person",
            kind=type(failure).__name__,
            status=getattr(failure, "status", None),
            code=getattr(failure, "code", None),
        )


def is_too_late(error: BaseException) -> bool:
    """Tell whether Discord has given up waiting for an answer: after 3 seconds, or 15 minutes."""
    return isinstance(error, discord.HTTPException) and error.code in _TOO_LATE


def calm(record: logging.LogRecord) -> bool:
    """Let discord.py log in one line, and not as a fault, that choices came too late to be offered."""
    cause = record.exc_info[1] if record.exc_info else None
    while cause is not None:
        if is_too_late(cause):
            record.levelno, record.levelname, record.exc_info = logging.WARNING, "WARNING", None
            break
        cause = cause.__cause__
    return True


def typed_in(component: Any) -> Iterator[str]:
    """Yield what was typed into the fields of a modal, from what Discord sends when it is submitted."""
    if component.get("type") == discord.ComponentType.text_input.value and component.get("value"):
        yield component["value"]
    inner = component.get("components", [])
    for child in [*inner, *([component["component"]] if "component" in component else [])]:
        yield from typed_in(child)


def _sentence(error: BaseException) -> str:
    if isinstance(error, Refused):
        # What people typed or are called may stand in it; only the mention of a role is meant as one.
        shown = discord.utils.escape_markdown(reveal(str(error)))
        shown = _QUOTED.sub(lambda match: f"“{isolated(match[1])}”", shown)
        return _NOT_A_ROLE.sub(r"\<", shown)[:SENTENCE_LIMIT]
    if isinstance(error, CommitUnknown):
        log.error("whether what a person did was written is not known", error=str(error))
        return (
            "Herald's database broke off in the very moment of writing: it may have been done, or not."
            " Look at the broadcast's card before you try again."
        )
    if isinstance(error, StoreError):
        log.error("a person could not be served", error=str(error))
        return "Herald's database is in trouble, so nothing was changed or sent. Try again in a minute."
    if isinstance(error, discord.DiscordServerError | aiohttp.ClientError | OSError):
        log.warning("Discord did not take an answer", kind=type(error).__name__)
        return "Discord did not take Herald's answer. Look at the broadcast's card before you try again."
    if isinstance(error, app_commands.CheckFailure):
        return "You cannot use this here."
    reference = secrets.token_hex(4)
    log.error("a fault inside Herald", reference=reference, kind=type(error).__name__, exc_info=error)
    return (
        "Something went wrong inside Herald. Look at the broadcast's card before you try again,"
        f" and tell whoever runs Herald the reference {reference}."
    )


async def _answer(
    interaction: discord.Interaction[Any], sentence: str, typed: str, view: discord.ui.View
) -> None:
    files: list[discord.File] = []
    if typed:
        sentence += "\nWhat you typed is attached, to copy."
        # Half a character would keep all the others from being given back.
        whole = typed.encode(errors="backslashreplace")
        files.append(discord.File(io.BytesIO(whole[:ATTACHED_BYTES]), filename="what-you-typed.txt"))
    if not interaction.response.is_done():
        await interaction.response.send_message(sentence, files=files, view=view, ephemeral=True)
    elif interaction.response.type is discord.InteractionResponseType.deferred_channel_message:
        await interaction.edit_original_response(content=sentence, attachments=files, view=view)
    else:
        await interaction.followup.send(sentence, files=files, view=view, ephemeral=True)
