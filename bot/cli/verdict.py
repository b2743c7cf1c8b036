"""What a verifier found, told on the command line; and an export, which is verified without a database."""

from collections.abc import Callable
from enum import IntEnum
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from bot.audit.chain import Anchor, Verifier, read_anchor
from bot.audit.export import Export
from bot.errors import ConfigurationError

out: Final = Console(soft_wrap=True, highlight=False)
# What is exported may go to standard output: what is said about it never does.
aside: Final = Console(stderr=True, soft_wrap=True, highlight=False)
_TO_KEEP: Final = (
    "- Whether lines were cut off at the end, only an anchor tells: keep what `herald audit anchor` prints"
    " elsewhere, and give it back with --anchor."
)


class Verdict(IntEnum):
    """What was found, as the status with which the command ends."""

    WHOLE = 0
    BROKEN = 1
    # Nothing is wrong with it, and that says little.
    EXCERPT = 3


def verify_file(file: Path, anchors: list[Anchor]) -> Verdict:
    """Verify an export, and say what was found."""
    export = Export(file, anchors=anchors)
    with progress() as bar:
        task = bar.add_task("Verifying", total=file.stat().st_size)
        for count in export.read():
            bar.advance(task, count)
    if export.header.filters:
        named = ", ".join(f"{name} {value}" for name, value in export.header.filters.items())
        out.print(
            f"- {file} is an excerpt ({named}) and not a whole chain: each line is checked by itself, and"
            " none can be missed. Whoever can write the file can change a line and compute its digest anew:"
            " only a whole export, or the database, shows that.",
            markup=False,
        )
    whole = tell(export.verifier, export.header.name, told=export.unreadable is not None)
    if export.unreadable is None:
        if not whole:
            return Verdict.BROKEN
        return Verdict.EXCERPT if export.header.filters else Verdict.WHOLE
    out.print(
        f"[red]✗[/] {escape(str(file))}, line {export.unreadable} of the file: it was changed, Herald does"
        " not write it so. What follows was not read."
    )
    return Verdict.BROKEN


def tell(verifier: Verifier, name: Callable[[int], str], *, told: bool = False) -> bool:
    """Say of each server whether its chain holds; return whether everything does."""
    for guild_id, chain in verifier.chains.items():
        if chain.breach is None:
            words = f"{chain.lines} line(s), " + (
                "none changed, removed, put in or moved"
                if chain.whole
                else "each with the digest that its words have"
            )
            out.print(f"[green]✓[/] {escape(name(guild_id))}: {words}. The last is {chain.head}.")
        else:
            number, flaw = chain.breach
            out.print(f"[red]✗[/] {escape(name(guild_id))}: line {number}: {flaw}.")
    if not verifier.chains and not told:
        out.print("- There is no line to verify.")
    for lost in verifier.lost:
        out.print(
            f"[red]✗[/] No line that holds is {lost}: the record was cut off before it, or written anew."
        )
    return verifier.holds


def advise_anchors() -> None:
    """Say what only an anchor tells."""
    out.print(_TO_KEEP, markup=False)


def anchor_of(text: str) -> Anchor:
    """Return the anchor that was typed; raise ConfigurationError if it is none."""
    found = read_anchor(text)
    if found is None:
        raise ConfigurationError(
            f"--anchor: “{text[:80]}” is no anchor: write what `herald audit anchor` printed, or a digest."
        )
    return found


def progress() -> Progress:
    """Return a bar, which only a terminal shows."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(*columns, console=aside, transient=True, disable=not aside.is_terminal)
