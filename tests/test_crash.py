"""A short form of `make crash`: real workers are killed, and nothing is sent twice, lost or misreported."""

from pathlib import Path

import pytest

from tests.conftest import Postgres
from tests.crash.job import CLOCKS, COMMITS, FROZEN, LARGE, POINTS, RANDOM, RESOLVED, RESTORES, ZOMBIES, Job
from tests.crash.tally import Tally
from tests.crash.trial import Mode

# With these seeds, kills fall into all parts of a send, and some of them leave it in doubt.
SEED = 7


async def tried(
    folder: Path, postgres: Postgres | None, key: str, trial: str, amount: int, *, seed: int = SEED
) -> Tally:
    mode = Mode(key=key, database="postgresql" if postgres else "sqlite")
    url = postgres.url(postgres.new()) if postgres else f"sqlite:///{folder / 'herald.db'}"
    found = await Job(mode=mode, trial=trial, amount=amount, seed=seed).run(folder, url)
    assert found.is_good, str(found)
    assert found.pushed
    return found


@pytest.mark.parametrize("key", ["proven", "unproven", "v5"])
async def test_killed_at_any_point_it_is_sent_once_or_a_person_is_asked(tmp_path: Path, key: str) -> None:
    assert (await tried(tmp_path, None, key, POINTS, 45)).kills >= 2


async def test_killed_at_any_point_on_postgresql_it_is_sent_once(tmp_path: Path, postgres: Postgres) -> None:
    assert (await tried(tmp_path, postgres, "proven", POINTS, 60)).kills >= 1


@pytest.mark.parametrize("key", ["proven", "unproven"])
async def test_killed_at_random_under_load_it_is_sent_once_or_a_person_is_asked(
    tmp_path: Path, key: str
) -> None:
    assert (await tried(tmp_path, None, key, RANDOM, 2)).kills == 2


async def test_a_key_that_is_ignored_after_its_proof_is_found_out_and_what_it_cost_is_told(
    tmp_path: Path,
) -> None:
    assert (await tried(tmp_path, None, "stale", RANDOM, 4)).told


async def test_whatever_the_clock_is_set_to_it_is_sent_once_or_a_person_is_asked(tmp_path: Path) -> None:
    # By two hours ahead, then by two hours back.
    assert (await tried(tmp_path, None, "unproven", CLOCKS, 3, seed=3)).kills == 1


async def test_a_process_that_comes_back_after_its_lease_sends_nothing_again(
    tmp_path: Path, postgres: Postgres
) -> None:
    assert (await tried(tmp_path, postgres, "unproven", ZOMBIES, 1)).zombies == 1


async def test_a_commit_whose_answer_was_lost_leaves_nothing_in_flight_and_nothing_in_doubt(
    tmp_path: Path,
) -> None:
    found = await tried(tmp_path, None, "unproven", COMMITS, 4)
    assert found.cuts
    assert not found.unknown


async def test_beside_a_frozen_server_everything_goes_out(tmp_path: Path) -> None:
    assert (await tried(tmp_path, None, "unproven", FROZEN, 1)).inside == 1


async def test_a_broadcast_of_many_requests_keeps_no_other_waiting(tmp_path: Path) -> None:
    assert (await tried(tmp_path, None, "unproven", LARGE, 1)).inside == 1


async def test_killed_while_people_are_found_and_named_each_is_named_once(tmp_path: Path) -> None:
    assert (await tried(tmp_path, None, "proven", RESOLVED, 3)).kills == 3


async def test_a_database_that_went_back_under_a_worker_sends_nothing_twice_and_nothing_by_itself(
    tmp_path: Path,
) -> None:
    assert (await tried(tmp_path, None, "unproven", RESTORES, 1)).restores == 1
