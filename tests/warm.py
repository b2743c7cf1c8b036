"""The `herald` command in a process of its own each time, without the price of its imports.

Each line on standard input is a run; it is forked from this process, which has made the imports once, and
answered with its status. Discord is at the address that the run names, which no setting changes.
"""

import json
import os
import signal
import sys
import time
import traceback
from importlib import import_module
from pathlib import Path
from typing import Any, NoReturn

import bot.cli.commands
import bot.store.sqlite
from tests.harness.discord.run import redirect

PATIENCE_SECONDS = 30.0
# Each command would read what it uses when it is called.
for name in ("checks", "host", "process", "record"):
    import_module(f"bot.cli.{name}")


def main() -> None:
    """Answer each run with its status."""
    for line in sys.stdin:
        run = json.loads(line)
        pid = os.fork()
        if pid == 0:
            _become(run)
        sys.stdout.write(f"{_status(pid, run)}\n")
        sys.stdout.flush()


def _become(run: dict[str, Any]) -> NoReturn:
    os.chdir(run["folder"])
    os.environ.clear()
    os.environ.update(run["variables"])
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        os.dup2(os.open(run[name], os.O_RDWR | os.O_CREAT | os.O_TRUNC), number)
    sys.argv = ["herald", *run["arguments"]]
    redirect(run["discord"])
    bot.store.sqlite.BUSY_SECONDS = 0.1
    if place := run["broken"]:
        _break(place, run["words"])
    status: Any = 0
    try:
        bot.cli.commands.main()
    except SystemExit as ended:
        status = ended.code
    except BaseException:  # noqa: BLE001 - as Python itself would end
        traceback.print_exc()
        status = 1
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status or 0)


def _break(place: str, words: str) -> None:
    """Let what stands there fail as nobody has foreseen, with these words wherever an error has words."""

    def fail(*arguments: Any, **_: object) -> NoReturn:
        held = {"Authorization": f"Bearer {words}"}
        for coroutine in arguments:
            getattr(coroutine, "close", str)()
        cause = LookupError(words, held)
        cause.add_note(f"it was {words}")
        error = RuntimeError(f"no place for {held!r}")
        error.add_note(words)
        raise error from cause

    module, _, name = place.rpartition(".")
    assert hasattr(sys.modules[module], name)
    setattr(sys.modules[module], name, fail)


def _status(pid: int, run: dict[str, Any]) -> int:
    """Wait for its end; end it orderly once it has said what it runs until."""
    late = time.monotonic() + PATIENCE_SECONDS
    while True:
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        said = Path(run["stderr"])
        if run["until"] and said.exists() and run["until"] in said.read_text("utf-8"):
            os.kill(pid, signal.SIGTERM)
            run["until"] = ""
        if time.monotonic() > late:
            os.kill(pid, signal.SIGKILL)
        time.sleep(0.02)


if __name__ == "__main__":
    main()
