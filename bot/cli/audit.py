"""The `herald audit` commands: whether the record is whole, and what of it is kept elsewhere."""

from pathlib import Path
from typing import Annotated, Final, Literal

import typer

from bot.errors import ConfigurationError

audit: Final = typer.Typer(
    name="audit", help="Verify the record, export it, and anchor it elsewhere.", no_args_is_help=True
)

EnvFile = Annotated[Path, typer.Option("--env-file", help="Where the secrets and addresses stand.")]
ServerName = Annotated[
    str | None, typer.Option("--server", help="Only this server: its name in herald.toml, or its id.")
]


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

    What else the database knows is compared too. Ends with status 0 if all is whole, 1 if something is not,
    and 3 if nothing is wrong with an excerpt, which cannot show more. A running Herald is not disturbed.
    """
    from bot.cli import verdict

    anchors = [verdict.anchor_of(text) for text in anchor or []]
    if file is None:
        from bot.cli import record

        whole = record.verify(env_file, server, anchors, mirror=mirror)
        found = verdict.Verdict.WHOLE if whole else verdict.Verdict.BROKEN
    elif mirror:
        raise ConfigurationError("--mirror: an export has no channel: leave out --mirror or --file.")
    elif server is not None:
        raise ConfigurationError("--server: an export is checked as it is: leave out --server or --file.")
    else:
        found = verdict.verify_file(file, anchors)
    if found is not verdict.Verdict.WHOLE:
        raise typer.Exit(found)
    if not anchors:
        verdict.advise_anchors()


@audit.command()
def anchor(env_file: EnvFile = Path(".env"), server: ServerName = None) -> None:
    """Print the number and digest of each server's last line, to be kept where nobody here can change it."""
    from bot.cli import record

    record.print_anchors(env_file, server)


@audit.command()
def export(
    *,
    output: Annotated[Path, typer.Option("--output", help="The file to write; - is standard output.")],
    form: Annotated[
        Literal["jsonl", "csv", "broadcasts"],
        typer.Option(
            "--format",
            help="jsonl can be verified again; csv is for people; broadcasts has a JSON line for each"
            " broadcast of which a line is found: what it said, and what its proof code is computed from.",
        ),
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
    from bot.cli import record

    typed = {
        "person": person, "audience": audience, "since": since, "until": until, "proof": proof,
        "broadcast": broadcast,
    }  # fmt: skip
    record.export(env_file, server, typed, output=output, form=form, force=force)
