"""What the tests share: a whole Herald between a simulated Discord and a simulated Whop."""

from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any, Protocol

import pytest
from hypothesis import settings

from bot.sandbox.stage import Stage

# How fast an example runs says something about the machine, nothing about Herald.
settings.register_profile("herald", deadline=None)
settings.load_profile("herald")


class OpenStage(Protocol):
    """Open a stage; keyword arguments go to Stage.open."""

    def __call__(self, generation: str = "v5", **options: Any) -> AbstractAsyncContextManager[Stage]: ...


@pytest.fixture
def open_stage(tmp_path: Path) -> OpenStage:
    def open_(generation: str = "v5", **options: Any) -> AbstractAsyncContextManager[Stage]:
        return Stage.open(generation, data=tmp_path, **options)

    return open_


@pytest.fixture(params=["v5", "v1"])
async def stage(request: pytest.FixtureRequest, open_stage: OpenStage) -> AsyncGenerator[Stage, None]:
    """Run the test once on each Whop generation."""
    async with open_stage(request.param) as opened:
        yield opened


@pytest.fixture
async def v5(open_stage: OpenStage) -> AsyncGenerator[Stage, None]:
    async with open_stage("v5") as opened:
        yield opened


@pytest.fixture
async def v1(open_stage: OpenStage) -> AsyncGenerator[Stage, None]:
    async with open_stage("v1") as opened:
        yield opened
