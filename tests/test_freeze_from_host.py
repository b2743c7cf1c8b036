"""`herald freeze` on the host: it reaches a Herald that is running, and lifting it takes somebody else."""

import asyncio
import sys
from pathlib import Path

from bot.clock import utc_now
from bot.sandbox.stage import API_KEY, UNDONE, Stage
from tests.conftest import OpenStage

OPTIONS = ("--env-file", ".env")


async def herald(stage: Stage, *arguments: str) -> tuple[int, str]:
    """Run the real command beside the Herald on the stage, on the same database."""
    folder = stage.settings.database_file.parent
    lines = {
        "DISCORD_TOKEN": "fake-token",
        "WHOP_API_KEY": API_KEY,
        "WHOP_API": stage.settings.whop_api,
        "WHOP_BASE_URL": stage.settings.whop_base_url,
        "DATABASE_URL": stage.settings.database_url.get_secret_value(),
        "HERALD_CONFIG": str(stage.settings.herald_config),
    }
    text = "".join(f"{name}={value}\n" for name, value in lines.items())
    (folder / ".env").write_text(text, encoding="utf-8")
    root = Path(__file__).parents[1]
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "bot",
        *arguments,
        cwd=folder,
        env={"PYTHONPATH": str(root), "PYTHONUTF8": "1", "COLUMNS": "200"},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await process.communicate()
    return process.returncode or 0, said.decode()


async def as_late_as_it_is(stage: Stage) -> None:
    """Move the stage's clock to the real time, by which the command goes."""
    await stage.world.env.advance_time((utc_now() - stage.clock()).total_seconds())


async def test_the_host_can_halt_a_running_herald_and_somebody_in_discord_lifts_it(
    open_stage: OpenStage,
) -> None:
    async with open_stage("v5") as stage:
        await as_late_as_it_is(stage)
        await stage.approved()
        status, said = await herald(stage, "freeze", "Wrong price", *OPTIONS)
        assert (status, said) == (
            0,
            "✓ Sending is frozen. What is under way is finished; nothing new starts.\n",
        )
        await stage.wait(UNDONE)
        assert stage.whop.exchanges == []
        assert "Sending of all servers is frozen by the host: Wrong price" in stage.texts("review")[-1]
        assert "the host: **froze sending**" in stage.texts("audit")[-1]

        status, said = await herald(stage, "unfreeze", *OPTIONS)
        assert status == 2
        assert said.startswith("The host froze it, so somebody in Discord has to lift it")
        await stage.herald.service.unfreeze(stage.actor("Lena"))
        await stage.settle()
        assert len(stage.whop.pushes) == 1


async def test_the_host_can_lift_what_somebody_in_discord_froze(open_stage: OpenStage) -> None:
    async with open_stage("v5") as stage:
        await as_late_as_it_is(stage)
        await stage.approved()
        await stage.herald.service.freeze(stage.actor("Lena"), "Wait")
        assert await herald(stage, "unfreeze", *OPTIONS) == (0, "✓ 1 freeze(s) lifted.\n")
        await stage.wait(UNDONE)
        assert len(stage.whop.pushes) == 1
