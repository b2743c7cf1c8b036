"""The one place that answers errors: a sentence for the person, what they typed, and a line for the log."""

import io
import re
import secrets
from collections.abc import Iterator
from typing import Any, Final

import aiohttp
import discord
import structlog
from discord import app_commands

from bot.errors import Refused, StoreError
from bot.notification import reveal

log = structlog.get_logger()

SENTENCE_LIMIT: Final = 1800
# Five fields of 4000 characters, and room to spare.
ATTACHED_BYTES: Final = 128 * 1024
_NOT_A_ROLE: Final = re.compile(r"<(?!@&\d+>)")


async def fail(interaction: discord.Interaction[Any], error: BaseException, *, typed: str = "") -> None:
    """Answer the person with one sentence and what they typed, and tell the log what it was."""
    try:
        await _answer(interaction, _sentence(error), typed)
    except (discord.HTTPException, aiohttp.ClientError, OSError) as failure:
        log.warning(
            "an answer did not reach its person",
            kind=type(failure).__name__,
            status=getattr(failure, "status", None),
            code=getattr(failure, "code", None),
        )


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
        return _NOT_A_ROLE.sub(r"\<", shown)[:SENTENCE_LIMIT]
    if isinstance(error, StoreError):
        log.error("a person could not be served", error=str(error))
        return "Herald's database is in trouble, so nothing was changed or sent. Try again in a minute."
    if isinstance(error, app_commands.CheckFailure):
        return "You cannot use this here."
    reference = secrets.token_hex(4)
    log.error("a fault inside Herald", reference=reference, kind=type(error).__name__, exc_info=error)
    return (
        "Something went wrong inside Herald. Look at the broadcast's card before you try again,"
        f" and tell whoever runs Herald the reference {reference}."
    )


async def _answer(interaction: discord.Interaction[Any], sentence: str, typed: str) -> None:
    files: list[discord.File] = []
    if typed:
        sentence += "\nWhat you typed is attached, to copy."
        # Half a character would keep all the others from being given back.
        whole = typed.encode(errors="backslashreplace")
        files.append(discord.File(io.BytesIO(whole[:ATTACHED_BYTES]), filename="what-you-typed.txt"))
    if not interaction.response.is_done():
        await interaction.response.send_message(sentence, files=files, ephemeral=True)
    elif interaction.response.type is discord.InteractionResponseType.deferred_channel_message:
        await interaction.edit_original_response(content=sentence, attachments=files)
    else:
        await interaction.followup.send(sentence, files=files, ephemeral=True)
