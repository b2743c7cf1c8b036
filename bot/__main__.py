"""The `herald` command line."""

import asyncio
import signal
from collections.abc import Coroutine
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import typer
from rich.console import Console
from rich.markup import escape

from bot import log
from bot.app import assemble, check_audiences, run
from bot.check import ask_discord, check_whop
from bot.errors import ConfigurationError, HeraldError
from bot.policy import Policy
from bot.policy_file import load_policy
from bot.settings import Settings
from bot.store import Store
from bot.whop import Transport, gateway_for

cli: Final = typer.Typer(
    name="herald",
    help="Compose, approve and send Whop notifications from Discord.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
out: Final = Console(soft_wrap=True)

Generation = Literal["v5", "v1"]
EnvFile = Annotated[Path, typer.Option("--env-file", help="Where the secrets and addresses stand.")]


def main() -> None:
    """Run the command line; a wrong setting ends it with its sentence and status 2."""
    try:
        cli()
    except HeraldError as error:
        Console(stderr=True, soft_wrap=True, markup=False, highlight=False).print(str(error))
        raise SystemExit(2) from None


@cli.command("run")
def run_command(env_file: EnvFile = Path(".env")) -> None:
    """Connect to Discord and send what is approved, until SIGTERM or Ctrl-C."""
    settings, policy = _load(env_file)
    _configure_log(settings)
    _complete(_run(settings, policy))


@cli.command()
def check(
    env_file: EnvFile = Path(".env"),
    offline: Annotated[bool, typer.Option("--offline", help="Only read the files, ask nobody.")] = False,
) -> None:
    """Check .env and herald.toml, then ask Discord and Whop whether they agree."""
    settings, policy = _load(env_file)
    gateway = gateway_for(settings.whop_api, origin=settings.whop_base_url)
    check_audiences(policy, gateway, file=str(settings.herald_config))
    out.print(
        f"[green]✓[/] {env_file} and {settings.herald_config} are in order: {_summary(settings, policy)}"
    )
    if offline:
        return
    _configure_log(settings)
    problems = _complete(_ask(settings, policy))
    for sentence in problems:
        out.print(f"[red]✗[/] {escape(sentence)}")
    if problems:
        raise typer.Exit(1)
    out.print("[green]✓[/] Discord and Whop agree.")


@cli.command()
def migrate(env_file: EnvFile = Path(".env")) -> None:
    """Bring the database up to date; `herald run` does so by itself."""
    settings = Settings.load(env_file)
    _complete(_migrate(settings))
    out.print(f"[green]✓[/] {settings.database_file} is up to date.")


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
    port: Annotated[int, typer.Option("--port", help="Port of the pages' stable addresses.")] = 8700,
) -> None:
    """Try everything with a simulated Discord and a simulated Whop: no account, no token, no network."""
    try:
        from bot.sandbox import play_story, serve  # noqa: PLC0415 - the sandbox is an extra
    except ModuleNotFoundError as error:
        raise ConfigurationError(
            f"The sandbox needs another package ({error.name}): make sandbox installs it."
        ) from None
    if play:
        raise typer.Exit(0 if _complete(play_story(record=record, data=data)) else 1)
    _complete(serve(generation=api, port=port, record=record, data=data))


def _load(env_file: Path) -> tuple[Settings, Policy]:
    settings = Settings.load(env_file)
    return settings, load_policy(settings.herald_config)


def _configure_log(settings: Settings) -> None:
    log.configure(level=settings.log_level, style=settings.log_format, secrets=settings.secrets())


def _complete(work: Coroutine[Any, Any, Any]) -> Any:
    try:
        return asyncio.run(work)
    except KeyboardInterrupt:
        raise typer.Exit(130) from None


async def _run(settings: Settings, policy: Policy) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with assemble(settings, policy) as herald:
        await run(
            herald, lambda: herald.client.keep_connected(settings.discord_token.get_secret_value()), stop
        )


async def _ask(settings: Settings, policy: Policy) -> list[str]:
    gateway = gateway_for(settings.whop_api, origin=settings.whop_base_url)
    async with Transport(api_key=settings.whop_api_key) as transport:
        problems = [sentence async for sentence in check_whop(policy, gateway, transport)]
    return problems + await ask_discord(policy, settings.discord_token.get_secret_value())


async def _migrate(settings: Settings) -> None:
    async with Store.open(settings.database_url):
        pass


def _summary(settings: Settings, policy: Policy) -> str:
    audiences = sum(len(server.audiences) for server in policy.servers)
    return (
        f"{len(policy.servers)} server(s), {audiences} audience(s), Whop API {settings.whop_api},"
        f" sends go to {settings.environment} ({settings.whop_base_url})"
    )


if __name__ == "__main__":
    main()
