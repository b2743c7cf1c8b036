"""A test that hangs says what each of its tasks waits for, and cannot keep the others from being run."""

import asyncio
import faulthandler
import gc
from collections.abc import Generator, Iterator
from types import FrameType
from typing import Any, Final

import pytest

# For the end of what hung: a thread that waits for ever would let nobody go on.
SECONDS_TO_END: Final = 30


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    _ = item
    report = yield
    if _hung(call):
        report.sections.append(("What its tasks wait for", "\n".join(_waiting())))
    return report


@pytest.hookimpl(trylast=True)
def pytest_exception_interact(call: pytest.CallInfo[None]) -> None:
    if _hung(call):
        # pytest has just called its own off, as it does after any failure; it calls this one off at the end.
        faulthandler.dump_traceback_later(SECONDS_TO_END, exit=True)


def _hung(call: pytest.CallInfo[None]) -> bool:
    return call.excinfo is not None and "from pytest-timeout" in str(call.excinfo.value)


def _waiting() -> Iterator[str]:
    """Return the lines at which tasks of any loop stand, the outermost first."""
    for task in gc.get_objects():
        if type(task) is asyncio.Task and not task.done():
            yield task.get_name()
            yield from _stack(task.get_coro())


def _stack(waiting: Any) -> Iterator[str]:
    for kind in ("cr", "ag", "gi"):
        frame = getattr(waiting, f"{kind}_frame", None)
        if isinstance(frame, FrameType):
            yield f"  {frame.f_code.co_filename}:{frame.f_lineno} in {frame.f_code.co_qualname}"
            yield from _stack(getattr(waiting, "gi_yieldfrom" if kind == "gi" else f"{kind}_await"))
