"""People in three experiences that overlap, for trials in which everybody is found and named."""

import random
from typing import Final

from bot.clock import utc_now
from bot.delivery import Request
from bot.sandbox.whop import Owners, People, SimulatedWhop
from tests.crash.faults import FAULTS, Fault
from tests.harness.reading import asking

EXPERIENCES: Final = ("exp_red", "exp_green", "exp_blue")
PEOPLE: Final = People(
    products={
        "prod_red": Owners(crowd=range(300)),
        "prod_green": Owners(crowd=range(200, 450)),
        "prod_blue": Owners(crowd=range(350, 500)),
    },
    experiences={one: [one.replace("exp", "prod")] for one in EXPERIENCES},
)
_DATED: Final = {"Api-Version-Date": "2026-10-15-1"}
# How pages go wrong: not so often that one fails on each try.
_PLANS: Final = ("ok",) * 20 + ("hold", "closed", "down")


class Pages:
    """Answer questions about these people, and about nobody else."""

    def __init__(self) -> None:
        whop = SimulatedWhop(clock=utc_now, people=PEOPLE)
        self._asking = {generation: asking(generation, whop) for generation in ("v1", "v5")}
        # The same pages go wrong in the same order whenever a server is started.
        self._dice = random.Random(7)

    def answer(self, target: str) -> tuple[Fault, int, str]:
        """Return what goes wrong, and the status and body if nothing does."""
        generation = target.split("/")[2]
        request = Request(method="GET", url=f"http://127.0.0.1{target}", headers=_DATED, body=b"")
        said = self._asking[generation](request)
        known = any(one.partition("_")[2] in target for one in EXPERIENCES)
        return FAULTS[self._dice.choice(_PLANS) if known else "ok"], said.status, said.body
