"""What lies on the disk can be read by nobody but Herald's own user."""

import os
from collections.abc import Generator
from pathlib import Path

import pytest

from bot.preflight import look_at_files
from bot.store import Store
from tests.harness.process import Cluster, Process, settings_of

# What most machines let everybody read that somebody makes.
USUAL = 0o022


@pytest.fixture(autouse=True)
def usual() -> Generator[None, None, None]:
    before = os.umask(USUAL)
    yield
    os.umask(before)


def rights(folder: Path) -> dict[str, int]:
    return {one.name: one.stat().st_mode & 0o777 for one in sorted(folder.iterdir()) if one.is_file()}


async def run(folder: Path, cluster: Cluster) -> Process:
    process = await cluster.join(alone=True)
    await process.startup.begin()
    await process.due()
    await process.tick()
    return process


async def test_every_file_that_a_run_makes_is_its_owners_alone(tmp_path: Path) -> None:
    async with Cluster.open(f"sqlite:///{tmp_path / 'herald.db'}", tmp_path) as cluster:
        await run(tmp_path, cluster)
        made = rights(tmp_path)
        assert {"herald.db", "herald.db-wal", "herald.db-shm", "herald.witness"} <= made.keys()
        assert {name: mode for name, mode in made.items() if mode & 0o077} == {}


async def test_a_database_that_a_command_of_the_host_makes_is_its_owners_alone(tmp_path: Path) -> None:
    async with Store.open(f"sqlite:///{tmp_path / 'herald.db'}", alone=False):
        assert {name: mode for name, mode in rights(tmp_path).items() if mode & 0o077} == {}


async def test_what_everybody_can_read_is_named_by_check_and_mended_by_the_next_run(tmp_path: Path) -> None:
    database = tmp_path / "herald.db"
    async with Cluster.open(f"sqlite:///{database}", tmp_path) as cluster:
        await (await run(tmp_path, cluster)).leave()
        settings = settings_of(cluster.url, tmp_path, origin="https://sandbox-api.whop.com")
        assert look_at_files(settings) == []
        for name in ("herald.db", "herald.witness"):
            (tmp_path / name).chmod(0o644)
        named = [sentence.split()[0] for sentence in look_at_files(settings)]
        assert named == [str(database), str(tmp_path / "herald.witness")]

        await run(tmp_path, cluster)
        assert look_at_files(settings) == []


async def test_what_a_group_was_given_on_purpose_stays_and_is_named(tmp_path: Path) -> None:
    database = tmp_path / "herald.db"
    database.touch(0o640)
    database.chmod(0o640)
    async with Cluster.open(f"sqlite:///{database}", tmp_path) as cluster:
        await run(tmp_path, cluster)
        assert rights(tmp_path)["herald.db"] == 0o640
        settings = settings_of(cluster.url, tmp_path, origin="https://sandbox-api.whop.com")
        assert str(database) in look_at_files(settings)[0]
