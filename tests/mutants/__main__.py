"""Make small mistakes in the send path, the gate and the cards, one at a time, and see who notices."""

import argparse
import importlib.util
import os
import shutil
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic
from typing import Final

from tests.mutants.operators import Mutant, mutants
from tests.mutants.table import EQUIVALENT, TESTS

ROOT: Final = Path(__file__).parents[2]
COPIED: Final = ("bot", "cogs", "tests", "docs", "pyproject.toml", "README.md", "Makefile")
# How much longer a module's tests may take with a mistake than without.
LONGER: Final = 3.0
SECONDS_MORE: Final = 20.0
# So many of ten are to be seen.
ENOUGH: Final = 0.9
GREEN, RED, LATE = "NOT SEEN", "seen", "seen: it never ended"


class Copy:
    """A copy of the project, in which mistakes are made: nothing that is worked on is ever changed."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        for name in COPIED:
            if (ROOT / name).is_dir():
                shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(ROOT / name, folder / name)

    def source(self, module: str) -> str:
        """Return what stands in a module."""
        return (self._folder / module).read_text(encoding="utf-8")

    def write(self, module: str, source: str) -> None:
        """Put something else into a module."""
        path = self._folder / module
        path.write_text(source, encoding="utf-8")
        # Python knows a changed source by its second and its size, which may both be the same.
        Path(importlib.util.cache_from_source(str(path))).unlink(missing_ok=True)

    def run(self, tests: Sequence[str], *, seconds: float | None = None) -> str:
        """Run these tests until one is red; raise RuntimeError if they could not be run."""
        told = {"PYTHONPATH": str(self._folder), "HYPOTHESIS_PROFILE": "brief"}
        options = ["-x", "-q", "-p", "no:cacheprovider", "--timeout=20"]
        process = subprocess.Popen(
            [sys.executable, "-m", "pytest", *options, *tests],
            cwd=self._folder,
            env={**os.environ, **told},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        try:
            said, _ = process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            # The databases and servers that it has begun, too.
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
            return LATE
        if process.returncode == 0:
            return GREEN
        # 2: a mistake that keeps the module from being imported.
        if process.returncode not in {1, 2, 4}:
            raise RuntimeError(f"pytest could not run the tests:\n{said[-2000:]}")
        return RED


def main() -> int:
    """Make each mistake in turn; return 1 if fewer than nine of ten are seen."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutants", description=__doc__)
    parser.add_argument("modules", nargs="*", help="such as bot/sending/start.py; all of the table otherwise")
    parser.add_argument("--every", type=int, default=1, metavar="N", help="only every Nth mistake")
    parser.add_argument("--list", action="store_true", help="name the mistakes and make none")
    asked = parser.parse_args()
    modules: Sequence[str] = asked.modules or list(TESTS)
    if unknown := set(modules) - TESTS.keys():
        parser.error(f"no tests are named for {', '.join(sorted(unknown))} in tests/mutants/table.py")
    counts: Counter[str] = Counter()
    with TemporaryDirectory(prefix="herald-mutants-") as folder:
        copy = Copy(Path(folder))
        for module in modules:
            chosen = mutants(module, copy.source(module))[:: asked.every]
            if asked.list:
                say(*(f"{one.line}: {one.name}" for one in chosen))
            else:
                counts += _try_all(copy, module, chosen)
    if asked.list:
        return 0
    made = counts.total() - counts["equivalent"]
    say(f"{made - counts[GREEN]} of {made} mistakes seen, {counts['equivalent']} more change nothing")
    return 0 if made - counts[GREEN] >= ENOUGH * made else 1


def _try_all(copy: Copy, module: str, chosen: Sequence[Mutant]) -> Counter[str]:
    source, tests = copy.source(module), TESTS[module]
    began = monotonic()
    if copy.run(tests) is not GREEN:
        raise RuntimeError(f"the tests of {module} are red without any mistake")
    limit = (monotonic() - began) * LONGER + SECONDS_MORE
    counts: Counter[str] = Counter()
    for mutant in chosen:
        if mutant.name in EQUIVALENT:
            counts["equivalent"] += 1
            continue
        copy.write(module, mutant.sown_in(source))
        outcome = copy.run(tests, seconds=limit)
        counts[outcome] += 1
        if outcome is not RED:
            say(f"{outcome} · line {mutant.line} · {mutant.name}")
    copy.write(module, source)
    seen = len(chosen) - counts[GREEN] - counts["equivalent"]
    say(f"{module} · {seen} of {len(chosen)} seen in {monotonic() - began:.0f} s")
    return counts


def say(*lines: str) -> None:
    """Print lines at once."""
    sys.stdout.write("".join(f"{line}\n" for line in lines))
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
