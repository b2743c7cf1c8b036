"""`herald freeze` on the host: it reaches a Herald that is running, and lifting it takes somebody else."""

import asyncio
import sys
from pathlib import Path

from bot.clock import utc_now
from bot.sandbox.sandbox import API_KEY, UNDONE, Sandbox
from tests.conftest import OpenSandbox

OPTIONS = ("--env-file", ".env")


async def herald(sandbox: Sandbox, *arguments: str) -> tuple[int, str]:
    """Run the real command beside the Herald on the sandbox, on the same database."""
    folder = sandbox.settings.database_file.parent
    lines = {
        "DISCORD_TOKEN": "fake-token",
        "WHOP_API_KEY": API_KEY,
        "WHOP_API": sandbox.settings.whop_api,
        "WHOP_BASE_URL": sandbox.settings.whop_base_url,
        "DATABASE_URL": sandbox.settings.database_url.get_secret_value(),
        "HERALD_CONFIG": str(sandbox.settings.herald_config),
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


async def as_late_as_it_is(sandbox: Sandbox) -> None:
    """Move the sandbox's clock to the real time, by which the command goes."""
    await sandbox.world.env.advance_time((utc_now() - sandbox.clock()).total_seconds())


async def test_the_host_can_halt_a_running_herald_and_somebody_in_discord_lifts_it(
    open_sandbox: OpenSandbox,
) -> None:
    async with open_sandbox("v5") as sandbox:
        await as_late_as_it_is(sandbox)
        await sandbox.approved()
        status, said = await herald(sandbox, "freeze", "Wrong price", *OPTIONS)
        assert (status, said) == (
            0,
            "✓ Sending is frozen. What is under way is finished; nothing new starts.\n",
        )
        await sandbox.wait(UNDONE)
        assert sandbox.whop.exchanges == []
        assert "Sending of all servers is frozen by the host: Wrong price" in sandbox.newest("review")
        assert "the host: **froze sending**" in sandbox.newest("audit")

        status, said = await herald(sandbox, "unfreeze", *OPTIONS)
        assert status == 2
        assert said.startswith("The host froze it, so somebody in Discord has to lift it")
        await sandbox.herald.service.unfreeze(sandbox.actor("Lena"))
        await sandbox.settle()
        assert len(sandbox.whop.pushes) == 1


async def test_the_host_can_lift_what_somebody_in_discord_froze(open_sandbox: OpenSandbox) -> None:
    async with open_sandbox("v5") as sandbox:
        await as_late_as_it_is(sandbox)
        await sandbox.approved()
        await sandbox.herald.service.freeze(sandbox.actor("Lena"), "Wait")
        assert await herald(sandbox, "unfreeze", *OPTIONS) == (0, "✓ 1 freeze(s) lifted.\n")
        await sandbox.wait(UNDONE)
        assert len(sandbox.whop.pushes) == 1
