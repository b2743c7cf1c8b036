"""The `herald audit` commands: whether the record is whole, and what of it is kept elsewhere."""

import asyncio
import sys
from collections.abc import Callable, Coroutine, Generator, Mapping
from contextlib import AbstractContextManager, contextmanager
from io import TextIOWrapper
from pathlib import Path
from typing import IO, Annotated, Any, Final, Literal

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from bot import log
from bot.audit.chain import Anchor, Verifier, read_anchor
from bot.audit.export import FORMATS, Chapter, Export, Header, written_whole
from bot.audit.search import Search, read_search
from bot.audit.verify_mirror import Comparison, MirrorReader
from bot.chat.channels import ChannelReader
from bot.clock import utc_now
from bot.errors import ConfigurationError
from bot.policy.loading import load_policy
from bot.policy.model import Policy
from bot.settings import Settings
from bot.store import Access, Store, Transaction

audit: Final = typer.Typer(
    name="audit", help="Verify the record, export it, and anchor it elsewhere.", no_args_is_help=True
)
out: Final = Console(soft_wrap=True, highlight=False)
# What is exported may go to standard output: what is said about it never does.
aside: Final = Console(stderr=True, soft_wrap=True, highlight=False)

EnvFile = Annotated[Path, typer.Option("--env-file", help="Where the secrets and addresses stand.")]
ServerName = Annotated[
    str | None, typer.Option("--server", help="Only this server: its name in herald.toml, or its id.")
]
_TO_KEEP: Final = (
    "- Whether lines were cut off at the end, only an anchor tells: keep what `herald audit anchor` prints"
    " elsewhere, and give it back with --anchor."
)


@audit.command()
def verify(
    env_file: EnvFile = Path(".env"),
    server: ServerName = None,
    file: Annotated[
        Path | None, typer.Option("--file", help="Check this export (JSON lines) instead of the database.")
    ] = None,
    anchor: Annotated[
        list[str] | None,
        typer.Option(
            "--anchor",
            metavar="[NUMBER:]DIGEST",
            help="A line that has to be there, as `herald audit anchor` printed it; may be given again.",
        ),
    ] = None,
    mirror: Annotated[
        bool, typer.Option("--mirror", help="Also read the record's channels in Discord, and compare.")
    ] = False,
) -> None:
    """Find the first line of each server's record that was changed, removed, put in or moved.

    Ends with status 0 if all is whole, 1 if something is not. A running Herald is not disturbed.
    """
    anchors = [_anchor(text) for text in anchor or []]
    if file is None:
        settings, policy = _load(env_file)
        whole = _verify_database(settings, policy, server, anchors)
        if mirror:
            whole &= _complete(_verify_mirror(settings, policy, server))
    elif mirror:
        raise ConfigurationError("--mirror: an export has no channel: leave out --mirror or --file.")
    elif server is not None:
        raise ConfigurationError("--server: an export is checked as it is: leave out --server or --file.")
    else:
        whole = _verify_file(file, anchors)
    if not whole:
        raise typer.Exit(1)
    if not anchors:
        out.print(_TO_KEEP, markup=False)


@audit.command()
def anchor(env_file: EnvFile = Path(".env"), server: ServerName = None) -> None:
    """Print the number and digest of each server's last line, to be kept where nobody here can change it."""
    settings, policy = _load(env_file)
    heads: Mapping[int, Anchor] = _heads(settings, policy, server)
    for guild_id, head in heads.items():
        out.print(f"{head}  {_name(policy, guild_id)}", markup=False)
    if not heads:
        aside.print("The record is empty: there is nothing to anchor yet.")


@audit.command()
def export(
    *,
    output: Annotated[Path, typer.Option("--output", help="The file to write; - is standard output.")],
    form: Annotated[
        Literal["jsonl", "csv"],
        typer.Option("--format", help="jsonl can be verified again; csv is for people."),
    ] = "jsonl",
    env_file: EnvFile = Path(".env"),
    server: ServerName = None,
    person: Annotated[str | None, typer.Option(help="Who acted: an id, or a part of the name.")] = None,
    audience: Annotated[str | None, typer.Option(help="Only broadcasts for this audience.")] = None,
    since: Annotated[
        str | None, typer.Option(help="From this date (UTC) on, or from so many days ago.")
    ] = None,
    until: Annotated[
        str | None, typer.Option(help="To the end of this date (UTC), or of so many days ago.")
    ] = None,
    proof: Annotated[str | None, typer.Option(help="Only lines with this proof code.")] = None,
    broadcast: Annotated[str | None, typer.Option(help="Only the broadcast with this number.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace the file if it is there.")] = False,
) -> None:
    """Write the record, or what of it is asked for, into a file of its own."""
    settings, policy = _load(env_file)
    typed = {
        "person": person, "audience": audience, "since": since, "until": until, "proof": proof,
        "broadcast": broadcast,
    }  # fmt: skip
    encoding = FORMATS[form].encoding
    to_stdout = str(output) == "-"
    place = _standard_output(encoding) if to_stdout else written_whole(output, encoding=encoding, force=force)
    count = _export(settings, policy, server, typed, form=form, place=place)
    aside.print(f"[green]✓[/] {count} line(s) written to {escape(str(output))}.")


@contextmanager
def _standard_output(encoding: str) -> Generator[IO[str], None, None]:
    stream = TextIOWrapper(sys.stdout.buffer, encoding=encoding, errors="backslashreplace", newline="")
    try:
        yield stream
    finally:
        # Without it, standard output would be closed together with what was put around it.
        stream.detach()


def _verify_database(settings: Settings, policy: Policy, server: str | None, anchors: list[Anchor]) -> bool:
    verifier, search = Verifier(anchors=anchors), Search(guild_id=_guild(policy, server))
    with _record(settings) as tx:
        total = tx.audit.count(search)
        with _progress() as bar:
            task = bar.add_task("Verifying", total=total)
            for lines in tx.audit.lines(search):
                for line in lines:
                    verifier.read(line)
                bar.advance(task, len(lines))
    return _tell(verifier, lambda guild_id: _name(policy, guild_id))


async def _verify_mirror(settings: Settings, policy: Policy, server: str | None) -> bool:
    wanted = _guild(policy, server)
    guilds = [one.guild for one in policy.servers] if wanted is None else [wanted]
    address = settings.database_url.get_secret_value()
    with Store.open_to_read(address) as store:
        async with ChannelReader.logged_in(settings.discord_token) as channels:
            reader = MirrorReader(store=store, channels=channels, policy=policy)
            with _progress() as bar:
                task = bar.add_task("Reading Discord", total=await reader.count(guilds))
                read = [
                    (guild, await reader.compare(guild, lambda n: bar.advance(task, n))) for guild in guilds
                ]
    # Each has to be told, whatever the one before was like.
    agreed = [_tell_of_mirror(_name(policy, guild), one) for guild, one in read]
    return all(agreed)


def _tell_of_mirror(name: str, read: Comparison) -> bool:
    """Say how a server's channel agrees with its record; return whether it does."""
    for difference in read.differences:
        out.print(f"[red]✗[/] {escape(name)}, the audit channel: {escape(str(difference))}")
    if not read.differences:
        out.print(
            f"[green]✓[/] {escape(name)}, the audit channel: {read.lines} line(s) stand there as posted."
        )
    if read.waiting:
        out.print(f"- {escape(name)}: {read.waiting} line(s) still wait to be posted.")
    return not read.differences


def _verify_file(file: Path, anchors: list[Anchor]) -> bool:
    export = Export(file, anchors=anchors)
    with _progress() as bar:
        task = bar.add_task("Verifying", total=file.stat().st_size)
        for count in export.read():
            bar.advance(task, count)
    if export.header.filters:
        named = ", ".join(f"{name} {value}" for name, value in export.header.filters.items())
        out.print(
            f"- {file} is an excerpt ({named}) and not a whole chain: each line is checked by itself, and"
            " none can be missed.",
            markup=False,
        )
    whole = _tell(export.verifier, export.header.name, told=export.unreadable is not None)
    if export.unreadable is None:
        return whole
    out.print(
        f"[red]✗[/] {escape(str(file))}, line {export.unreadable} of the file: it was changed, Herald does"
        " not write it so. What follows was not read."
    )
    return False


def _tell(verifier: Verifier, name: Callable[[int], str], *, told: bool = False) -> bool:
    """Say of each server whether its chain holds; return whether everything does."""
    for guild_id, chain in verifier.chains.items():
        if chain.breach is None:
            words = f"{chain.lines} line(s), none changed" + (
                "" if not chain.whole else ", removed, put in or moved"
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


def _heads(settings: Settings, policy: Policy, server: str | None) -> Mapping[int, Anchor]:
    with _record(settings) as tx:
        return tx.audit.heads(_guild(policy, server))


def _export(
    settings: Settings,
    policy: Policy,
    server: str | None,
    typed: Mapping[str, str | None],
    *,
    form: str,
    place: AbstractContextManager[IO[str]],
) -> int:
    written, guild_id = 0, _guild(policy, server)
    with _record(settings) as tx:
        known = {*tx.audit.audiences(guild_id), *_audiences(policy, guild_id)}
        search = read_search(typed, guild_id=guild_id, audiences=known, now=utc_now())
        heads = tx.audit.heads(guild_id)
        header = Header(
            at=utc_now().isoformat(timespec="seconds"),
            servers={
                str(guild): Chapter(name=_name(policy, guild), head=str(head))
                for guild, head in heads.items()
            },
            filters=search.filters,
        )
        total = tx.audit.count(search)
        with place as stream, _progress() as bar:
            task = bar.add_task("Exporting", total=total)
            stream.write(FORMATS[form].begin(header))
            for lines in tx.audit.lines(search):
                stream.write(FORMATS[form].lines(header, lines))
                written += len(lines)
                bar.advance(task, len(lines))
            stream.flush()
    return written


@contextmanager
def _record(settings: Settings) -> Generator[Transaction, None, None]:
    address = settings.database_url.get_secret_value()
    with Store.open_to_read(address) as store, store.begin(Access.READ) as tx:
        yield tx


def _load(env_file: Path) -> tuple[Settings, Policy]:
    settings = Settings.load(env_file)
    log.configure(level=settings.log_level, style=settings.log_format, secrets=settings.secrets())
    return settings, load_policy(settings.herald_config)


def _complete(work: Coroutine[Any, Any, Any]) -> Any:
    try:
        return asyncio.run(work)
    except KeyboardInterrupt:
        raise typer.Exit(130) from None


def _anchor(text: str) -> Anchor:
    found = read_anchor(text)
    if found is None:
        raise ConfigurationError(
            f"--anchor: “{text[:80]}” is no anchor: write what `herald audit anchor` printed, or a digest."
        )
    return found


def _guild(policy: Policy, name: str | None) -> int | None:
    if name is None:
        return None
    named = {server.name.casefold(): server.guild for server in policy.servers}
    if (guild_id := named.get(name.strip().casefold())) is not None:
        return guild_id
    # The record may be of a server that the policy no longer names.
    if name.isascii() and name.isdigit() and int(name) < 2**63:
        return int(name)
    known = ", ".join(f"“{server.name}”" for server in policy.servers)
    raise ConfigurationError(
        f"--server: there is no server “{name}”: write one of {known}, or a server's id."
    )


def _name(policy: Policy, guild_id: int) -> str:
    server = policy.server(guild_id)
    return server.name if server else f"server {guild_id}"


def _audiences(policy: Policy, guild_id: int | None) -> set[str]:
    return {
        audience.name
        for server in policy.servers
        if guild_id in {None, server.guild}
        for audience in server.audiences
    }


def _progress() -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(*columns, console=aside, transient=True, disable=not aside.is_terminal)
