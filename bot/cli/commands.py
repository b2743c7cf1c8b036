"""The `herald` command line; each command imports what it uses, and nothing else."""

from pathlib import Path
from typing import Annotated, Final, Literal

import typer

from bot.cli.audit import audit
from bot.errors import ConfigurationError, HeraldError

cli: Final = typer.Typer(
    name="herald",
    help="Compose, approve and send Whop notifications from Discord.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
cli.add_typer(audit)

Generation = Literal["v5", "v1"]
EnvFile = Annotated[Path, typer.Option("--env-file", help="Where the secrets and addresses stand.")]

Account = Annotated[
    str | None,
    typer.Option("--account", metavar="NAME", help="Which one, where there are several [[whop]]."),
]


def _port(value: str | int) -> int:
    text = str(value)
    if not (text.isascii() and text.isdecimal() and int(text) < 2**16):
        raise ConfigurationError(f"--port: {text!r} is no port: name a number from 0 to 65535.")
    return int(text)


def main() -> None:
    """Run the command line; a wrong setting ends it with its sentence and status 2, a fault with 1."""
    try:
        cli()
    except HeraldError as error:
        from rich.console import Console

        from bot import log

        # A database's own words may stand in it.
        sentence = log.redacted(str(error))
        Console(stderr=True, soft_wrap=True, markup=False, highlight=False).print(sentence)
        raise SystemExit(2) from None
    except Exception as fault:  # noqa: BLE001 - Python itself would print what it says, secrets included
        from bot import log

        log.report(fault)
        raise SystemExit(1) from None


@cli.command("run")
def run_command(env_file: EnvFile = Path(".env")) -> None:
    """Connect to Discord and send what is approved, until SIGTERM or Ctrl-C."""
    from bot.cli import process

    process.run(env_file)


@cli.command()
def worker(env_file: EnvFile = Path(".env")) -> None:
    """Only send what is approved, without a connection to Discord; what people are to see waits for a run."""
    from bot.cli import process

    process.work(env_file)


@cli.command()
def check(
    env_file: EnvFile = Path(".env"),
    offline: Annotated[bool, typer.Option("--offline", help="Only read the files, ask nobody.")] = False,
    own: Annotated[
        tuple[str, str] | None,
        typer.Option(
            "--prove",
            metavar="USER_ID EXPERIENCE_ID",
            help="Also prove on v1 that Whop honours idempotency keys, as prove-key does.",
        ),
    ] = None,
    account: Account = None,
    yes: Annotated[
        bool, typer.Option("--yes", help="Send what proves the key without asking first.")
    ] = False,
) -> None:
    """Check .env and herald.toml, then ask Discord and Whop whether they agree."""
    if offline and own:
        raise ConfigurationError("--prove asks Whop and --offline asks nobody: leave one of them out.")
    from bot.cli.files import check_files

    if offline:
        check_files(env_file)
        return
    from bot.cli import checks, proof

    target = proof.own_user(*own) if own else None
    if not checks.agree(*check_files(env_file), target, account=account, yes=yes):
        raise typer.Exit(1)


@cli.command("prove-key")
def prove_key(
    user_id: Annotated[str, typer.Argument(help="Your own Whop user, such as user_AbCdEfGh12345.")],
    experience_id: Annotated[
        str, typer.Argument(help="An experience that you have access to, such as exp_AbCdEfGh12345.")
    ],
    env_file: EnvFile = Path(".env"),
    account: Account = None,
    yes: Annotated[bool, typer.Option("--yes", help="Send without asking first.")] = False,
) -> None:
    """Find out whether Whop's v1 honours idempotency keys.

    The same test notification is sent twice, to your own Whop user only. If Whop answers the second
    request from memory, Herald may repeat what got no answer, without the risk that customers get it twice;
    one that is running goes by it as well. The proof holds for one API key at one address.
    """
    from bot.cli import proof

    if not proof.prove_key(user_id, experience_id, env_file, account=account, yes=yes):
        raise typer.Exit(1)


@cli.command()
def migrate(env_file: EnvFile = Path(".env")) -> None:
    """Bring the database up to date; `herald run` does so by itself."""
    from bot.cli import host

    host.migrate(env_file)


@cli.command()
def show(
    broadcast: Annotated[str, typer.Argument(help="Its number, such as 12.")],
    env_file: EnvFile = Path(".env"),
) -> None:
    """Tell in one sentence who wrote a broadcast, who agreed and what became of it, and what it says.

    A running Herald is not disturbed.
    """
    number = broadcast.strip().removeprefix("#")
    if not (number.isascii() and number.isdigit() and len(number) < 19):
        raise ConfigurationError(f"“{broadcast[:60]}” is not a broadcast's number: write one such as 12.")
    from bot.cli import record

    record.show(env_file, int(number))


@cli.command()
def freeze(
    reason: Annotated[str, typer.Argument(help="Why; everyone concerned reads it.")],
    env_file: EnvFile = Path(".env"),
    account: Account = None,
) -> None:
    """Halt all sending of all servers at once, or of an account, also of a Herald that is running."""
    from bot.cli import host

    host.freeze(reason, env_file, account=account)


@cli.command()
def unfreeze(env_file: EnvFile = Path(".env"), account: Account = None) -> None:
    """Lift the freezes that somebody else than the host set; the host's own is lifted in Discord."""
    from bot.cli import host

    host.unfreeze(env_file, account=account)


@cli.command()
def sandbox(
    play: Annotated[
        bool, typer.Option("--play", help="Play the story by itself, without a browser.")
    ] = False,
    record: Annotated[
        Path | None, typer.Option("--record", help="Write each HTTP exchange with Whop to this file.")
    ] = None,
    data: Annotated[
        Path | None, typer.Option("--data", help="Keep the data folder here; it has to be new or empty.")
    ] = None,
    api: Annotated[Generation, typer.Option("--api", help="The Whop API to try in the browser.")] = "v5",
    port: Annotated[
        int,
        typer.Option(
            "--port",
            parser=_port,
            metavar="PORT",
            help="Port of the pages' addresses; 0 for a free one.",
        ),
    ] = 8700,
) -> None:
    """Try everything with a simulated Discord and a simulated Whop: no account, no token, no network."""
    from bot.cli.loop import complete

    try:
        from bot.sandbox.play import play_story
        from bot.sandbox.serve import serve
    except ModuleNotFoundError as error:
        raise ConfigurationError(
            f"The sandbox needs another package ({error.name}): make sandbox installs it."
        ) from None
    if play:
        raise typer.Exit(0 if complete(play_story(record=record, data=data)) else 1)
    complete(serve(generation=api, port=port, record=record, data=data))
