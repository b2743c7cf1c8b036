"""The `herald audit` commands that read the record in the database, beside whoever runs on it."""

import sys
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from io import TextIOWrapper
from pathlib import Path
from typing import IO, Final

from rich.markup import escape

from bot.audit.broadcast_export import Scopes, to_line, told
from bot.audit.chain import Anchor, Verifier
from bot.audit.export import FORMATS, Chapter, Format, Header, written_whole
from bot.audit.search import Search, read_search
from bot.audit.verify_mirror import Comparison, MirrorReader
from bot.characters import isolated, reveal
from bot.cli.files import load
from bot.cli.host import lifecycle_of
from bot.cli.loop import complete
from bot.cli.verdict import aside, out, progress, tell
from bot.clock import utc_now
from bot.errors import ConfigurationError, NotFound
from bot.notification import canonical
from bot.policy.model import Policy
from bot.service.looking import read_courses
from bot.settings import Settings
from bot.store import Access, Store, Transaction

# So many broadcasts are read together, and forgotten before the next.
BROADCASTS_AT_ONCE: Final = 100
FIELDS: Final = {"all": "Feed and phone", "in_app": "Feed", "mobile": "Phone"}


def verify(env_file: Path, server: str | None, anchors: list[Anchor], *, mirror: bool) -> bool:
    """Verify the record, and its mirror if asked to; say what was found, and return whether it is whole."""
    settings, policy = load(env_file)
    whole = _verify_database(settings, policy, server, anchors)
    if mirror:
        whole &= complete(_verify_mirror(settings, policy, server))
    return whole


def print_anchors(env_file: Path, server: str | None) -> None:
    """Print the number and digest of each server's last line."""
    settings, policy = load(env_file)
    with _record(settings) as tx:
        heads = tx.audit.heads(_guild(policy, server))
    for guild_id, head in heads.items():
        out.print(f"{head}  {_name(policy, guild_id)}", markup=False)
    if not heads:
        aside.print("The record is empty: there is nothing to anchor yet.")


def export(
    env_file: Path,
    server: str | None,
    typed: Mapping[str, str | None],
    *,
    output: Path,
    form: str,
    force: bool,
) -> None:
    """Write what was asked for into a file; raise Refused for what cannot be asked for."""
    settings, policy = load(env_file)
    format_ = FORMATS.get(form)
    encoding = format_.encoding if format_ else "ascii"
    to_stdout = str(output) == "-"
    place = _standard_output(encoding) if to_stdout else written_whole(output, encoding=encoding, force=force)
    with _record(settings) as tx:
        search = _search(tx, policy, _guild(policy, server), typed)
        with place as stream:
            if format_:
                count = _write_lines(tx, policy, search, format_, stream)
            else:
                lifecycle = lifecycle_of(settings, policy)
                scopes = Scopes([*tx.facts.scopes(), *map(canonical, lifecycle.scopes())])
                count = _write_broadcasts(tx, policy, search, scopes, stream)
            stream.flush()
    what = "line(s)" if format_ else "broadcast(s)"
    aside.print(f"[green]✓[/] {count} {what} written to {escape(str(output))}.")


def show(env_file: Path, number: int) -> None:
    """Print the answer in one sentence, and the words that customers read; raise NotFound."""
    settings, policy = load(env_file)
    with _record(settings) as tx:
        broadcast = tx.broadcasts.find(number)
        if broadcast is None:
            raise NotFound(f"There is no broadcast #{number}.")
        course = read_courses(tx, policy, [broadcast])[0]
    out.print(told(course), markup=False)
    words = broadcast.notification
    parts = [(FIELDS[field], f"{text.subject}\n{text.content}") for field, text in words.texts()]
    for name, typed in (*parts, ("Subtitle", words.subtitle), ("A tap opens", words.link)):
        if typed:
            # Further in than what Herald says, so that nothing typed can pass for that.
            lines = (f"    {line}" for line in reveal(typed).splitlines())
            out.print("\n".join([f"{name}:", *lines]), markup=False)
    out.print(f"{isolated(_name(policy, broadcast.guild_id))}, proof code {broadcast.proof}", markup=False)


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
        with progress() as bar:
            task = bar.add_task("Verifying", total=total)
            for lines in tx.audit.lines(search):
                for line in lines:
                    verifier.read(line)
                bar.advance(task, len(lines))
        contradictions = tx.testimony.against(search.guild_id)
    whole = tell(verifier, lambda guild_id: _name(policy, guild_id), told=bool(contradictions))
    for guild_id, what in contradictions:
        out.print(f"[red]✗[/] {escape(_name(policy, guild_id))}: {escape(what)}.")
    return whole and not contradictions


async def _verify_mirror(settings: Settings, policy: Policy, server: str | None) -> bool:
    wanted = _guild(policy, server)
    guilds = [one.guild for one in policy.servers] if wanted is None else [wanted]
    from bot.chat.channels import ChannelReader

    address = settings.database_url.get_secret_value()
    with Store.open_to_read(address) as store:
        async with ChannelReader.logged_in(settings.discord_token) as channels:
            reader = MirrorReader(store=store, channels=channels, policy=policy)
            with progress() as bar:
                task = bar.add_task("Reading Discord", total=await reader.count(guilds))
                read = [
                    (guild, await reader.compare(guild, lambda n: bar.advance(task, n))) for guild in guilds
                ]
    # Each has to be told, whatever the one before was like.
    agreed = [_tell_of_mirror(_name(policy, guild), one) for guild, one in read]
    return all(agreed)


def _tell_of_mirror(name: str, read: Comparison) -> bool:
    """Say how a server's channel agrees with its record; return whether it does."""
    faults = [one for one in read.differences if one.is_fault]
    for difference in read.differences:
        sign = "[red]✗[/]" if difference.is_fault else "-"
        out.print(f"{sign} {escape(name)}, the audit channel: {escape(str(difference))}")
    if not faults:
        out.print(
            f"[green]✓[/] {escape(name)}, the audit channel: {read.lines} line(s) stand there as posted."
        )
    if read.waiting:
        out.print(f"- {escape(name)}: {read.waiting} line(s) still wait to be posted.")
    return not faults


def _search(tx: Transaction, policy: Policy, guild_id: int | None, typed: Mapping[str, str | None]) -> Search:
    known = {*tx.audit.audiences(guild_id), *_audiences(policy, guild_id)}
    return read_search(typed, guild_id=guild_id, audiences=known, now=utc_now())


def _write_lines(tx: Transaction, policy: Policy, search: Search, form: Format, stream: IO[str]) -> int:
    """Write the lines of the record that were asked for; return how many these are."""
    written = 0
    header = Header(
        at=utc_now().isoformat(timespec="seconds"),
        servers={
            str(guild): Chapter(name=_name(policy, guild), head=str(head))
            for guild, head in tx.audit.heads(search.guild_id).items()
        },
        filters=search.filters,
    )
    with progress() as bar:
        task = bar.add_task("Exporting", total=tx.audit.count(search))
        stream.write(form.begin(header))
        for lines in tx.audit.lines(search):
            stream.write(form.lines(header, lines))
            written += len(lines)
            bar.advance(task, len(lines))
    return written


def _write_broadcasts(
    tx: Transaction, policy: Policy, search: Search, scopes: Scopes, stream: IO[str]
) -> int:
    """Write a line for each broadcast of which a line of the record is found; return how many these are."""
    written, last = 0, 0
    with progress() as bar:
        task = bar.add_task("Exporting", total=tx.audit.count_broadcasts(search))
        while numbers := tx.audit.broadcasts(search, after=last, limit=BROADCASTS_AT_ONCE):
            said = tx.revisions.of(numbers)
            for course in read_courses(tx, policy, tx.broadcasts.all_of(numbers)):
                one = course.broadcast
                name, parts = _name(policy, one.guild_id), scopes.parts(one)
                stream.write(f"{to_line(course, said[one.id], server=name, parts=parts)}\n")
            written, last = written + len(numbers), numbers[-1]
            bar.advance(task, len(numbers))
    return written


@contextmanager
def _record(settings: Settings) -> Generator[Transaction, None, None]:
    address = settings.database_url.get_secret_value()
    with Store.open_to_read(address) as store, store.begin(Access.READ) as tx:
        yield tx


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
