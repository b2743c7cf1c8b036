"""The `herald` command line."""

import asyncio
import signal
from collections.abc import Coroutine
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any, Final, Literal
from uuid import uuid4

import typer
from pydantic import ValidationError
from rich.console import Console
from rich.markup import escape

from bot import log
from bot.app import Herald, Worker, check_policy, lifecycle_of, run, work
from bot.cli.audit import audit
from bot.clock import utc_now
from bot.errors import ConfigurationError, HeraldError, NotAllowed
from bot.freeze import Freeze
from bot.key_trust import Credential, Verdict, keep, prove, trial
from bot.lifecycle import Lifecycle
from bot.notification import storable
from bot.policy.loading import load_policy
from bot.policy.model import Policy, UsersInExperience
from bot.preflight import (
    ask_discord,
    check_whop,
    look_at_database,
    look_at_mirror,
    look_up_proof,
    nothing_to_prove,
)
from bot.service import REASON_LIMIT
from bot.settings import Settings
from bot.store import Store, Transaction
from bot.value import Person
from bot.whop import Transport, gateway_for

cli: Final = typer.Typer(
    name="herald",
    help="Compose, approve and send Whop notifications from Discord.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
cli.add_typer(audit)
out: Final = Console(soft_wrap=True)

Generation = Literal["v5", "v1"]
# Who acts from the command line: no member of any server.
HOST: Final = Person(0, "the host")
EnvFile = Annotated[Path, typer.Option("--env-file", help="Where the secrets and addresses stand.")]


def main() -> None:
    """Run the command line; a wrong setting ends it with its sentence and status 2, a fault with 1."""
    try:
        cli()
    except HeraldError as error:
        # A database's own words may stand in it.
        sentence = log.redacted(str(error))
        Console(stderr=True, soft_wrap=True, markup=False, highlight=False).print(sentence)
        raise SystemExit(2) from None
    except Exception as fault:  # noqa: BLE001 - Python itself would print what it says, secrets included
        log.report(fault)
        raise SystemExit(1) from None


@cli.command("run")
def run_command(env_file: EnvFile = Path(".env")) -> None:
    """Connect to Discord and send what is approved, until SIGTERM or Ctrl-C."""
    settings, policy = _load(env_file)
    _complete(_run(settings, policy))


@cli.command()
def worker(env_file: EnvFile = Path(".env")) -> None:
    """Only send what is approved, without a connection to Discord; what people are to see waits for a run."""
    settings, policy = _load(env_file)
    _complete(_work(settings, policy))


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
    yes: Annotated[
        bool, typer.Option("--yes", help="Send what proves the key without asking first.")
    ] = False,
) -> None:
    """Check .env and herald.toml, then ask Discord and Whop whether they agree."""
    if offline and own:
        raise ConfigurationError("--prove asks Whop and --offline asks nobody: leave one of them out.")
    target = _own_user(*own) if own else None
    settings, policy = _load(env_file)
    gateway = gateway_for(settings.whop_api, origin=settings.whop_base_url)
    check_policy(policy, gateway, file=str(settings.herald_config))
    out.print(
        f"[green]✓[/] {env_file} and {settings.herald_config} are in order: {_summary(settings, policy)}"
    )
    if offline:
        return
    if target is None or gateway.version_date is None:
        target = None
        out.print(_shown(f"- {_complete(look_up_proof(settings, gateway))}"))
    # What waits is no mistake in the files: it does not keep a script from starting what would post it.
    for sentence in look_at_mirror(settings, policy, now=utc_now()):
        out.print(f"[yellow]![/] {_shown(sentence)}")
    problems = [*look_at_database(settings), *_complete(_ask(settings, policy))]
    for sentence in problems:
        out.print(f"[red]✗[/] {_shown(sentence)}")
    if problems:
        if target:
            out.print("- Nothing was sent to prove the key: mend this first.")
        raise typer.Exit(1)
    out.print("[green]✓[/] Discord and Whop agree.")
    if target and not _proven(settings, target, yes=yes):
        raise typer.Exit(1)


@cli.command("prove-key")
def prove_key(
    user_id: Annotated[str, typer.Argument(help="Your own Whop user, such as user_AbCdEfGh12345.")],
    experience_id: Annotated[
        str, typer.Argument(help="An experience that you have access to, such as exp_AbCdEfGh12345.")
    ],
    env_file: EnvFile = Path(".env"),
    yes: Annotated[bool, typer.Option("--yes", help="Send without asking first.")] = False,
) -> None:
    """Find out whether Whop's v1 honours idempotency keys.

    The same test notification is sent twice, to your own Whop user only. If Whop answers the second
    request from memory, Herald may repeat what got no answer, without the risk that customers get it twice;
    one that is running goes by it as well. The proof holds for one API key at one address.
    """
    settings = _settings(env_file)
    gateway = gateway_for(settings.whop_api, origin=settings.whop_base_url)
    if gateway.version_date is None:
        raise ConfigurationError(f"WHOP_API: {nothing_to_prove(gateway)}")
    target = _own_user(user_id, experience_id)
    if not _proven(settings, target, yes=yes):
        raise typer.Exit(1)


@cli.command()
def migrate(env_file: EnvFile = Path(".env")) -> None:
    """Bring the database up to date; `herald run` does so by itself."""
    settings = _settings(env_file)
    _complete(_migrate(settings))
    out.print(f"[green]✓[/] {settings.database} is up to date.")


@cli.command()
def freeze(
    reason: Annotated[str, typer.Argument(help="Why; everyone concerned reads it.")],
    env_file: EnvFile = Path(".env"),
) -> None:
    """Halt all sending of all servers at once, also of a Herald that is running."""
    settings, policy = _load(env_file)
    _complete(_freeze(settings, policy, reason))
    out.print("[green]✓[/] Sending is frozen. What is under way is finished; nothing new starts.")


@cli.command()
def unfreeze(env_file: EnvFile = Path(".env")) -> None:
    """Lift the freezes that somebody else than the host set; the host's own is lifted in Discord."""
    settings, policy = _load(env_file)
    lifted = _complete(_unfreeze(settings, policy))
    out.print(f"[green]✓[/] {lifted} freeze(s) lifted.")


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
    settings = _settings(env_file)
    return settings, load_policy(settings.herald_config)


def _settings(env_file: Path) -> Settings:
    settings = Settings.load(env_file)
    # At once: whatever goes wrong from here on is told without the secrets.
    log.configure(level=settings.log_level, style=settings.log_format, secrets=settings.secrets())
    return settings


def _shown(sentence: str) -> str:
    """Return a sentence in which others have a part, as it may be printed."""
    return escape(log.redacted(sentence))


def _complete(work: Coroutine[Any, Any, Any]) -> Any:
    try:
        return asyncio.run(work)
    except KeyboardInterrupt:
        raise typer.Exit(130) from None


def _stop_asked() -> asyncio.Event:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    return stop


async def _work(settings: Settings, policy: Policy) -> None:
    stop = _stop_asked()
    async with Worker.open(settings, policy) as parts:
        await work(parts, stop)


async def _run(settings: Settings, policy: Policy) -> None:
    stop = _stop_asked()
    async with Herald.open(settings, policy) as herald:
        await run(
            herald, lambda: herald.client.keep_connected(settings.discord_token.get_secret_value()), stop
        )


async def _ask(settings: Settings, policy: Policy) -> list[str]:
    gateway = gateway_for(settings.whop_api, origin=settings.whop_base_url)
    async with Transport(api_key=settings.whop_api_key) as transport:
        problems = [sentence async for sentence in check_whop(policy, gateway, transport)]
    return problems + await ask_discord(policy, settings.discord_token.get_secret_value())


def _proven(settings: Settings, target: UsersInExperience, *, yes: bool) -> bool:
    """Ask whether to, prove the key, and say what came of it."""
    place = f"{settings.environment} ({settings.whop_base_url})"
    whom = f"{target.users[0]} in {target.experience}"
    if not yes:
        typer.confirm(f"Send a test notification twice to {whom}, at {place}?", abort=True)
    if settings.has_database_file:
        # It may be the first to use the database; where that fails, opening it says why.
        with suppress(OSError):
            settings.database_file.parent.mkdir(parents=True, exist_ok=True)
    verdict: Verdict = _complete(_prove(settings, target))
    out.print(f"[{'green' if verdict.honoured else 'red'}]{'✓' if verdict.honoured else '✗'}[/] ", end="")
    out.print(_shown(verdict.words))
    if not verdict.honoured:
        out.print("Nothing is proven by this; herald check says what holds.")
        return False
    out.print("Idempotency keys are proven for this API key: a Herald that runs goes by that from now on.")
    return True


async def _prove(settings: Settings, target: UsersInExperience) -> Verdict:
    gateway = gateway_for(settings.whop_api, origin=settings.whop_base_url)
    credential = Credential.of(gateway, origin=settings.whop_base_url, api_key=settings.whop_api_key)
    request = trial(gateway, target, new_key=lambda: str(uuid4()))
    async with (
        Store.open(settings.database_url.get_secret_value(), alone=False) as store,
        Transport(api_key=settings.whop_api_key) as transport,
    ):
        verdict = await prove(request, transport)
        await store.write(keep, credential, verdict, at=utc_now())
    return verdict


def _own_user(user_id: str, experience_id: str) -> UsersInExperience:
    try:
        return UsersInExperience(experience=experience_id, users=(user_id,))
    except ValidationError as error:
        wrong = {item["loc"][0] for item in error.errors(include_url=False, include_input=False)}
    sentences = {
        "users": "USER_ID: write a Whop id that begins with user_.",
        "experience": "EXPERIENCE_ID: write a Whop id that begins with exp_.",
    }
    raise ConfigurationError("\n".join(sentence for name, sentence in sentences.items() if name in wrong))


def _lifecycle(settings: Settings, policy: Policy) -> Lifecycle:
    return lifecycle_of(settings, policy, gateway_for(settings.whop_api, origin=settings.whop_base_url))


async def _freeze(settings: Settings, policy: Policy, reason: str) -> None:
    # A terminal gives halves of characters for bytes that are no text.
    wanted = Freeze(guild_id=None, by=HOST, at=utc_now(), reason=storable(reason[:REASON_LIMIT]))
    address = settings.database_url.get_secret_value()
    async with Store.open(address, alone=False) as store:
        await store.write(_lifecycle(settings, policy).freeze, wanted)


async def _unfreeze(settings: Settings, policy: Policy) -> int:
    address = settings.database_url.get_secret_value()
    async with Store.open(address, alone=False) as store:
        return await store.write(_lift, _lifecycle(settings, policy))


def _lift(tx: Transaction, lifecycle: Lifecycle) -> int:
    standing = tx.freezes.standing()
    others = [freeze for freeze in standing if freeze.by != HOST]
    if standing and not others:
        raise NotAllowed("The host froze it, so somebody in Discord has to lift it: /notify unfreeze.")
    for one in others:
        lifecycle.unfreeze(tx, one, HOST)
    return len(others)


async def _migrate(settings: Settings) -> None:
    async with Store.open(settings.database_url.get_secret_value()):
        pass


def _summary(settings: Settings, policy: Policy) -> str:
    audiences = sum(len(server.audiences) for server in policy.servers)
    return (
        f"{len(policy.servers)} server(s), {audiences} audience(s), Whop API {settings.whop_api},"
        f" sends go to {settings.environment} ({settings.whop_base_url})"
    )
