"""Who could still approve a broadcast: whoever may, and has not said yes already."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

import pytest

from bot.broadcast import Approval, Broadcast, Status
from bot.permissions import Action, Actor, approvers, decide
from tests.harness.clock import NOW
from tests.harness.people import LENA, MAYA, NOOR, OMAR, WORDS, member
from tests.harness.policy import APPROVE, COMPOSE, GUILD, OTHER_GUILD, POLICY, ROLES, parsed

RANA: Final = member(5, "Rana", APPROVE)
ABROAD: Final = member(6, "Ines", APPROVE, guild=OTHER_GUILD)
ALL: Final = (MAYA, OMAR, LENA, NOOR, RANA, ABROAD)
IT: Final = Broadcast(
    id=1,
    guild_id=GUILD,
    author=MAYA.person,
    editors=(MAYA.id,),
    audience="One",
    notification=WORDS,
    status=Status.REVIEW,
    revision=1,
    fingerprint="a" * 64,
    origin_channel_id=5,
    created_at=NOW,
    updated_at=NOW,
)


def by(actor: Actor, template: str | None = None) -> Approval:
    return Approval(approver=actor.person, at=NOW, template=template)


CASES: Final[Mapping[str, tuple[dict[str, Any], tuple[Actor, ...]]]] = {
    "whoever holds the role here": ({}, (OMAR, LENA, RANA)),
    "not who wrote it": ({"author": OMAR.person}, (LENA, RANA)),
    "not who edited it": ({"editors": (MAYA.id, LENA.id)}, (OMAR, RANA)),
    "not who approved it": ({"approvals": (by(OMAR),)}, (LENA, RANA)),
    "not the only one who lends it": ({"lent": (by(OMAR, "t"),)}, (LENA, RANA)),
    "one of two who lend it, for whom the other stands in": (
        {"lent": (by(OMAR, "t"), by(LENA, "t"))},
        (OMAR, LENA, RANA),
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_those_who_could_still_approve_are_named_and_nobody_else(case: str) -> None:
    changes, expected = CASES[case]
    assert approvers(parsed(), IT.model_copy(update=changes), ALL, at=NOW) == list(expected)


def test_a_broadcast_of_another_server_is_refused_to_whoever_may_do_all_here() -> None:
    said = decide(parsed(), ABROAD, Action.APPROVE, IT, at=NOW)
    assert said == "Herald works only for members of a server that its policy names."


@pytest.mark.parametrize("action", Action)
def test_in_the_records_channel_everything_is_refused_that_does_more_than_look_or_halt(
    action: Action,
) -> None:
    roles = frozenset(ROLES.values())
    # Who may bring lists along is a role of its own.
    policy = parsed(POLICY.replace("[server.rules]", f"lists = [{COMPOSE}]\n[server.rules]"))
    there = replace(LENA, roles=roles, channel_id=parsed().servers[0].channels.audit)
    elsewhere = replace(there, channel_id=parsed().servers[0].channels.review)
    said = "This channel is for the record alone, and nothing but a halt is done here: use another one."
    looks = action in {Action.LIST, Action.AUDIT, Action.STOP, Action.FREEZE}
    assert decide(policy, there, action, at=NOW) == (None if looks else said)
    assert decide(policy, elsewhere, action, at=NOW) is None
