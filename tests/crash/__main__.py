"""Kill real workers until it is certain that nothing is sent twice, lost, or said to be what it is not."""

import asyncio
import secrets
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from tempfile import TemporaryDirectory, mkdtemp
from typing import Annotated, Final

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from tests.conftest import Postgres, get_server
from tests.crash.job import (
    CLOCKS,
    COMMITS,
    FAILOVERS,
    FROZEN,
    LARGE,
    POINTS,
    RANDOM,
    RESOLVED,
    RESTORES,
    TRIALS,
    ZOMBIES,
    Job,
)
from tests.crash.tally import Tally
from tests.crash.trial import Mode

# Several processes, or a standby, are there only where a server keeps the database.
OF_SERVERS: Final = frozenset({FAILOVERS, ZOMBIES})
# On v5 one request reaches a whole audience, so that no broadcast has many.
OF_V1: Final = frozenset({FROZEN, LARGE, RESOLVED})
Url = Callable[[Job, Path], str]

cli = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
out = Console(soft_wrap=True, highlight=False)


class Key(StrEnum):
    """How far idempotency keys can be trusted."""

    PROVEN = "proven"
    STALE = "stale"
    UNPROVEN = "unproven"
    V5 = "v5"


class Database(StrEnum):
    """Where everything is kept."""

    SQLITE = "sqlite"
    POSTGRESQL = "postgresql"


@cli.command()
def trials(
    *,
    kills: Annotated[int, typer.Option(help="Kills at random under load, of all modes together.")] = 500,
    moves: Annotated[int, typer.Option(help="How often clocks are set, of all modes together.")] = 200,
    frozen: Annotated[int, typer.Option(help="Kills beside a frozen server, of all modes together.")] = 60,
    large: Annotated[int, typer.Option(help="Kills while 300 requests leave, of all modes together.")] = 60,
    resolved: Annotated[int, typer.Option(help="Kills while people are found and named.")] = 60,
    restores: Annotated[int, typer.Option(help="Copies that are put back, of all modes together.")] = 60,
    failovers: Annotated[int, typer.Option(help="Standbys that take over, of all PostgreSQL modes.")] = 12,
    zombies: Annotated[int, typer.Option(help="Processes that come back, of all PostgreSQL modes.")] = 200,
    repeats: Annotated[int, typer.Option(help="How often each point and each COMMIT is gone through.")] = 3,
    stride: Annotated[int, typer.Option(min=1, help="Take only one of so many points and COMMITs.")] = 1,
    only: Annotated[list[str] | None, typer.Option(help=f"Only these trials: {', '.join(TRIALS)}.")] = None,
    key: Annotated[list[Key] | None, typer.Option(help="Only these keys.")] = None,
    database: Annotated[list[Database] | None, typer.Option(help="Only these databases.")] = None,
    seed: Annotated[int | None, typer.Option(help="What an earlier run printed, to repeat it.")] = None,
    jobs: Annotated[int, typer.Option(min=1, help="How many trials run side by side.")] = 2,
) -> None:
    """Run all trials; end with status 1 if a promise was broken."""
    if unknown := sorted(set(only or ()) - set(TRIALS)):
        raise typer.BadParameter(f"there is no trial {unknown[0]}: {', '.join(TRIALS)}")
    seed = secrets.randbelow(10**6) if seed is None else seed
    modes = [Mode(key=one, database=other) for other in database or Database for one in key or Key]
    amounts = {
        RANDOM: kills,
        CLOCKS: moves,
        FROZEN: frozen,
        LARGE: large,
        RESOLVED: resolved,
        RESTORES: restores,
        FAILOVERS: failovers,
        ZOMBIES: zombies,
    }
    wanted = [
        one
        for one in _jobs(modes, amounts, repeats=repeats, stride=stride, seed=seed)
        if not only or one.trial in only
    ]
    folder = Path(mkdtemp(prefix="herald-crash-"))
    out.print(f"seed {seed}, everything in {folder}")
    with _databases(wanted) as url:
        found = asyncio.run(_run(wanted, folder, url, side_by_side=jobs))
    total = sum(found, Tally())
    out.print(f"[{'green' if total.is_good else 'red'}]{total}[/]")
    raise typer.Exit(0 if total.is_good else 1)


def _jobs(
    modes: Sequence[Mode], amounts: Mapping[str, int], *, repeats: int, stride: int, seed: int
) -> Iterator[Job]:
    """Return what is to be done, the amount of each trial shared among its modes."""
    for trial in (POINTS, COMMITS):
        for mode in modes:
            for number in range(repeats):
                yield Job(mode=mode, trial=trial, amount=stride, seed=seed + number)
    for trial, amount in amounts.items():
        able = [
            mode
            for mode in modes
            if (mode.database == Database.POSTGRESQL or trial not in OF_SERVERS)
            and (mode.generation == "v1" or trial not in OF_V1)
        ]
        for mode in able if amount else ():
            yield Job(mode=mode, trial=trial, amount=-(-amount // len(able)), seed=seed)


@contextmanager
def _databases(wanted: Sequence[Job]) -> Generator[Url]:
    """Yield what gives each job an empty database."""

    def file(_job: Job, place: Path) -> str:
        return f"sqlite:///{place / 'herald.db'}"

    if all(job.mode.database == Database.SQLITE for job in wanted):
        yield file
        return
    with TemporaryDirectory(prefix="herald-") as folder:
        server = get_server(Path(folder) / "data")
        postgres = Postgres(server)

        def either(job: Job, place: Path) -> str:
            server = job.mode.database == Database.POSTGRESQL
            return postgres.url(postgres.new()) if server else file(job, place)

        yield either
        server.cleanup()


async def _run(wanted: Sequence[Job], folder: Path, url: Url, *, side_by_side: int) -> list[Tally]:
    room = asyncio.Semaphore(side_by_side)
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
    with Progress(*columns, console=out, transient=True) as bars:

        async def run(number: int, job: Job) -> Tally:
            async with room:
                place = folder / str(number)
                place.mkdir()
                bar = bars.add_task(str(job), total=None)
                found = await job.run(place, url(job, place), lambda done: bars.advance(bar, done))
                bars.remove_task(bar)
                out.print(f"{job!s:28} {found}{'' if found.is_good else f' [red]see {place}[/]'}")
                return found

        return await asyncio.gather(*(run(number, job) for number, job in enumerate(wanted)))


if __name__ == "__main__":
    cli()
