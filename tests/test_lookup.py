"""Looking an unknown broadcast up in Whop's log: what it shows settles it, and nothing else does."""

import json
from collections.abc import AsyncGenerator, Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.broadcast import Status
from bot.delivery import Delivery, DeliveryStatus, NoAnswer, Request, Response
from bot.errors import Conflict, NotAllowed, NotReady
from bot.permissions import Action, Actor
from bot.sandbox.sandbox import UNDONE, Sandbox, answer, button_labels, readable
from bot.sandbox.whop import Fault
from bot.service import LookedUp
from bot.whop.api_log import ApiLog, Page, Row, marked
from tests.harness.cards import labels, review_card, words
from tests.harness.clock import NOW
from tests.harness.found import only
from tests.harness.people import LENA, MAYA, NOOR, OMAR
from tests.harness.process import Cluster, Process
from tests.properties import examples

LOOK_UP = "Look it up"
LOG = ApiLog("https://api.whop.com/api/v1", headers={})


@pytest.fixture
async def cluster(tmp_path: Path, database_url: str) -> AsyncGenerator[Cluster, None]:
    async with Cluster.open(database_url, tmp_path) as opened:
        yield opened


async def unknown(cluster: Cluster, *faults: Fault, audience: str = "One", author: Actor = MAYA) -> Process:
    """Get to where Herald does not know what became of it."""
    for fault in faults:
        cluster.whop.fail_next(fault)
    process = await cluster.join()
    await process.due(audience, author=author)
    await process.tick()
    assert await process.status() is Status.UNKNOWN
    return process


async def look_up(process: Process, actor: Actor = LENA, *, revision: int = 1) -> LookedUp:
    return await process.service.look_up(actor, 1, revision=revision)


# --- what a request says of itself -----------------------------------------------------------------


async def test_each_request_bears_a_mark_of_its_own_that_is_frozen_with_it(cluster: Cluster) -> None:
    process = await unknown(cluster, Fault.DROP_AFTER_ACCEPT, Fault.DROP_AFTER_ACCEPT, audience="Two")
    marks = [one.mark for one in await process.deliveries()]
    assert [mark.rpartition("-")[0] for mark in marks] == [
        "Herald/1.0 delivery/1-1",
        "Herald/1.0 delivery/1-2",
    ]
    assert sorted(one.headers["User-Agent"] for one in cluster.whop.exchanges) == marks

    await process.prove(at=NOW)
    await process.service.check_again(LENA, 1, revision=1)
    await process.tick()
    assert sorted(one.headers["User-Agent"] for one in cluster.whop.exchanges[2:]) == marks


def test_the_mark_is_another_for_the_same_number_and_tells_nothing_of_the_key() -> None:
    one, other = marked(7, 1, key="first-key"), marked(7, 1, key="second-key")
    assert one != other
    assert "key" not in one
    assert marked(7, 1, key="first-key") == one


# --- what the log shows ----------------------------------------------------------------------------


async def test_a_row_of_success_settles_it_and_stands_in_the_record_as_evidence(cluster: Cluster) -> None:
    process = await unknown(cluster, Fault.DROP_AFTER_ACCEPT)
    card = await review_card(process)
    assert labels(card)[0] == LOOK_UP
    assert "**Look it up** reads Whop's own log of requests" in words(card)

    after, said = await look_up(process)
    row = f"log_000001 of {cluster.whop.served[0].at.isoformat()}, status 202"
    assert said == f"Whop's log shows it, accepted: {row}."
    assert (after.status, await process.status()) == (Status.SENT, Status.SENT)
    assert await process.lines("look_up") == [said]
    delivery = only(await process.deliveries())
    assert (delivery.status, delivery.detail) == (DeliveryStatus.ACCEPTED, f"Whop's log: {row}")
    assert said in words(await review_card(process)).replace("\\", "")
    # It was read, and nothing was sent.
    assert (len(cluster.whop.exchanges), len(cluster.whop.pushes)) == (1, 1)


async def test_nothing_found_is_said_and_proves_nothing(cluster: Cluster) -> None:
    process = await unknown(cluster, Fault.DROP_BEFORE_ACCEPT)
    after, said = await look_up(process)
    assert said == (
        "Whop's log shows nothing of it. That proves nothing: the log may not show this kind of key."
        " Look into the app, then say what you found."
    )
    assert after.status is Status.UNKNOWN
    assert await process.lines("look_up") == [said]
    assert labels(await review_card(process))[0] == LOOK_UP
    assert await process.status() is Status.UNKNOWN


async def test_a_row_without_success_is_said_and_decides_nothing(cluster: Cluster) -> None:
    process = await unknown(cluster, Fault.SERVER_ERROR)
    after, said = await look_up(process)
    assert said.startswith("Whop's log shows it: log_000001 of ")
    assert ", status 500. That decides nothing. Look into the app" in said
    assert after.status is Status.UNKNOWN


async def test_a_key_that_may_not_read_the_log_is_told_so(cluster: Cluster) -> None:
    process = await unknown(cluster, Fault.DROP_AFTER_ACCEPT)
    cluster.whop.shows_log = False
    after, said = await look_up(process)
    assert said == (
        "Whop's log says nothing: this key may not read it (403 This credential may not read the API log)."
        " Look into the app, then say what you found."
    )
    assert after.status is Status.UNKNOWN
    assert await process.freezes() == []


async def test_the_row_of_another_with_the_same_number_is_not_ours(cluster: Cluster) -> None:
    process = await unknown(cluster, Fault.DROP_BEFORE_ACCEPT)
    await process.service.look_up(LENA, 1, revision=1)
    sent = only(await process.deliveries())
    # As a database that was restored from a copy would send it: the number again, and another key.
    for agent in (marked(1, 1, key="of another"), f"{sent.mark}0", "Herald/1.0", ""):
        headers = {**sent.request.headers, "User-Agent": agent, "Idempotency-Key": f"of {agent}"}
        await process.wire.send(replace(sent.request, headers=headers))
    assert {one.status for one in cluster.whop.served} == {202}
    assert "shows nothing of it" in (await look_up(process)).said


async def test_pages_are_read_until_it_is_found(cluster: Cluster) -> None:
    process = await unknown(cluster, Fault.DROP_AFTER_ACCEPT)
    ours = only(cluster.whop.served)
    others = [replace(ours, id=f"log_x{number}", user_agent="another") for number in range(250)]
    cluster.whop.served.extend(others)
    assert (await look_up(process)).broadcast.status is Status.SENT
    asked = [one.url for one in cluster.whop.reads if "/api_logs?" in one.url]
    assert len(asked) == 3
    assert "operation_name=api/v1/notifications%23create" in asked[0]
    assert "first=100" in asked[0]


async def test_a_row_of_another_time_is_not_looked_for(cluster: Cluster) -> None:
    process = await unknown(cluster, Fault.DROP_AFTER_ACCEPT)
    ours = cluster.whop.served.pop()
    for moved in (-timedelta(minutes=6), timedelta(minutes=6)):
        cluster.whop.served.append(replace(ours, at=ours.at + moved))
    assert "shows nothing of it" in (await look_up(process)).said
    cluster.whop.served.append(replace(ours, at=ours.at + timedelta(minutes=4)))
    assert (await look_up(process)).broadcast.status is Status.SENT


@pytest.mark.parametrize(
    ("experiences", "asked"), [({"exp_gold": "Gold"}, ["biz_sandbox"]), ({}, [])], ids=["told", "not told"]
)
async def test_the_log_of_whoever_owns_the_experience_is_read_or_else_of_the_key(
    cluster: Cluster, experiences: dict[str, str], asked: list[str]
) -> None:
    cluster.whop.experiences = experiences
    process = await unknown(cluster, Fault.DROP_AFTER_ACCEPT)
    assert (await look_up(process)).broadcast.status is Status.SENT
    log = only([one.url for one in cluster.whop.reads if "/api_logs?" in one.url])
    assert [part.partition("=")[2] for part in log.split("?")[1].split("&") if "account_id" in part] == asked


async def test_of_several_requests_each_is_settled_by_its_own_row(cluster: Cluster) -> None:
    process = await unknown(cluster, Fault.DROP_AFTER_ACCEPT, Fault.DROP_AFTER_ACCEPT, audience="Two")
    first, second = cluster.whop.served
    cluster.whop.served = [first]
    after, said = await look_up(process)
    assert said.startswith("Whop's log shows 1 of 2 requests, 1 of them accepted: log_")
    assert after.status is Status.UNKNOWN
    assert sorted(one.status for one in await process.deliveries()) == ["accepted", "unknown"]

    cluster.whop.served = [first, second]
    assert (await look_up(process)).said.startswith("Whop's log shows it, accepted: ")
    assert await process.status() is Status.SENT
    assert len(cluster.whop.exchanges) == 2


async def test_beside_a_refusal_it_is_accepted_in_part(cluster: Cluster) -> None:
    process = await unknown(cluster, Fault.REJECT, Fault.DROP_AFTER_ACCEPT, audience="Two")
    assert (await look_up(process)).broadcast.status is Status.PARTIAL


# --- when, and by whom -----------------------------------------------------------------------------


async def test_what_was_answered_with_success_already_cannot_be_settled_by_a_row_of_success(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def contradicting(*_: Any, **__: Any) -> Response:
        return Response(status=202, headers={}, body='{"success": false}')

    process = await cluster.join()
    monkeypatch.setattr(process.wire, "send", contradicting)
    await process.due()
    await process.tick()
    assert await process.status() is Status.UNKNOWN
    assert LOOK_UP not in labels(await review_card(process))
    with pytest.raises(NotReady, match="cannot say more of it than is known"):
        await look_up(process)


async def test_what_bears_no_mark_is_not_looked_for(cluster: Cluster) -> None:
    process = await unknown(cluster, Fault.DROP_AFTER_ACCEPT)
    delivery = only(await process.deliveries())
    bare = replace(delivery, request=replace(delivery.request, headers={"User-Agent": "other/1.0"}))
    assert (delivery.may_be_looked_up, bare.may_be_looked_up) == (True, False)
    assert not replace(delivery, status=DeliveryStatus.ACCEPTED).may_be_looked_up


def asked_of_the_log(cluster: Cluster) -> list[str]:
    """Return the questions to Whop that are about its log, or whose log it is."""
    return [one.url for one in cluster.whop.reads if "api_logs" in one.url]


async def test_v5_has_no_log_and_no_button(tmp_path: Path, sqlite_url: str) -> None:
    async with Cluster.open(sqlite_url, tmp_path, generation="v5") as cluster:
        process = await unknown(cluster, Fault.DROP_AFTER_ACCEPT)
        assert LOOK_UP not in labels(await review_card(process))
        with pytest.raises(NotReady):
            await look_up(process)
        assert asked_of_the_log(cluster) == []


@pytest.mark.parametrize("actor", [OMAR, MAYA], ids=["approver", "author"])
async def test_looking_up_takes_the_role_operate_and_nothing_is_asked_for_others(
    cluster: Cluster, actor: Actor
) -> None:
    process = await unknown(cluster, Fault.DROP_AFTER_ACCEPT)
    with pytest.raises(NotAllowed):
        await look_up(process, actor)
    assert len(await process.lines("refused look_up")) == 1
    assert asked_of_the_log(cluster) == []


async def test_the_author_cannot_look_it_up_even_with_the_role(cluster: Cluster) -> None:
    process = await unknown(cluster, Fault.DROP_AFTER_ACCEPT, author=NOOR)
    with pytest.raises(NotAllowed, match="You wrote this broadcast, so somebody else has to look"):
        await look_up(process, NOOR)


async def test_it_may_be_looked_up_while_sending_is_frozen(cluster: Cluster) -> None:
    process = await unknown(cluster, Fault.DROP_AFTER_ACCEPT)
    await process.service.freeze(OMAR, "Wait")
    assert (await look_up(process)).broadcast.status is Status.SENT


async def test_an_old_card_and_what_is_known_cannot_be_looked_up(cluster: Cluster) -> None:
    process = await unknown(cluster, Fault.DROP_AFTER_ACCEPT)
    with pytest.raises(Conflict, match="This card is out of date"):
        await look_up(process, revision=2)
    await look_up(process)
    with pytest.raises(Conflict, match="Whop has already accepted it"):
        await look_up(process)


# --- what others do while Whop is asked ------------------------------------------------------------


class Meanwhile:
    """The way to Whop, on which something happens before the first answer is there."""

    def __init__(self, process: Process, happens: Any) -> None:
        self._process = process
        self._happens = happens

    async def ask(self, _: str, question: Request) -> Response | NoAnswer:
        if self._happens is not None:
            happens, self._happens = self._happens, None
            await happens()
        return await self._process.wire.send(question)


async def test_what_somebody_decided_meanwhile_stands(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    process = await unknown(cluster, Fault.DROP_AFTER_ACCEPT)

    async def deny() -> None:
        await process.service.act_with_reason(LENA, Action.DENY, 1, revision=1, reason="I looked")

    monkeypatch.setattr(process.service, "_ask", Meanwhile(process, deny).ask)
    with pytest.raises(Conflict, match="Someone was faster"):
        await look_up(process)
    assert await process.status() is Status.FAILED
    assert only(await process.deliveries()).detail == "Lena says so: I looked"


@pytest.mark.parametrize("ended", [False, True])
async def test_a_new_attempt_meanwhile_is_not_settled_by_what_was_sought_before(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch, ended: bool
) -> None:
    process = await unknown(cluster, Fault.DROP_AFTER_ACCEPT)
    await process.prove(at=NOW)

    async def check() -> None:
        await process.service.check_again(LENA, 1, revision=1)
        if ended:
            cluster.whop.fail_next(Fault.DROP_AFTER_ACCEPT)
            await process.tick()
            assert await process.status() is Status.UNKNOWN

    monkeypatch.setattr(process.service, "_ask", Meanwhile(process, check).ask)
    with pytest.raises(Conflict):
        await look_up(process)
    assert await process.status() is Status.UNKNOWN
    assert await process.lines("look_up") == []


async def test_no_answer_and_a_page_are_said_and_decide_nothing(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    process = await unknown(cluster, Fault.DROP_AFTER_ACCEPT)
    for told, expected in (
        (NoAnswer(reason="no connection", bytes_left=False), "no answer came: no connection"),
        (Response(status=403, headers={}, body="<html><title>No</title>"), "could not be read now (403 No)"),
        (Response(status=429, headers={}, body="Try again in 5 seconds"), "(429 Try again in 5 seconds)"),
    ):

        async def say(*_: Any, told: Response | NoAnswer = told) -> Response | NoAnswer:
            return told

        monkeypatch.setattr(process.service, "_ask", say)
        assert expected in (await look_up(process)).said
    assert await process.status() is Status.UNKNOWN


# --- what a log may answer -------------------------------------------------------------------------

ROW = {"id": "log_1", "created_at": "2026-11-23T09:41:00Z", "status_code": 202, "user_agent": "Herald/1.0 x"}


@pytest.mark.parametrize(
    ("changed", "ended", "success"),
    [
        ({}, "202", True),
        ({"status_code": 299}, "299", True),
        ({"status_code": 300}, "300", False),
        ({"status_code": 199}, "199", False),
        ({"status_code": 500, "status": "success"}, "500", False),
        ({"status_code": None, "status": "success"}, "success", True),
        ({"status_code": None, "status": "error"}, "error", False),
        ({"status_code": "202"}, "202", False),
        ({"status_code": None}, "?", False),
    ],
)
def test_a_row_tells_how_the_request_ended(changed: Mapping[str, Any], ended: str, success: bool) -> None:
    body = json.dumps({"data": [{**ROW, **changed}], "page_info": {"has_next_page": False}})
    page = LOG.read(Response(status=200, headers={}, body=body))
    assert page == Page(
        [Row("log_1", "2026-11-23T09:41:00Z", ended, "Herald/1.0 x", is_success=success)], None
    )


@given(
    status=st.sampled_from([200, 202, 401, 403, 404, 429, 500]),
    body=st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from([*ROW, "data", "page_info"]), inner),
        max_leaves=8,
    ),
)
@examples(100)
def test_whatever_the_log_answers_it_is_a_page_or_a_sentence(status: int, body: object) -> None:
    told = Response(status=status, headers={}, body=json.dumps(body))
    page = LOG.read(told)
    assert isinstance(page, Page) == (status == 200)
    for row in page.rows if isinstance(page, Page) else ():
        assert (row.id.isprintable(), len(row.id) <= 64) == (True, True)
    assert LOG.read_whose(told) is None or isinstance(body, dict)


# --- in Discord ------------------------------------------------------------------------------------


async def test_in_discord_the_button_settles_it_and_its_author_is_told(v1: Sandbox) -> None:
    v1.whop.fail_next(Fault.DROP_AFTER_ACCEPT)
    await v1.approved()
    await v1.wait(UNDONE)
    assert "it takes the role" in answer(await v1.press("Omar", LOOK_UP))

    said = answer(await v1.press("Lena", LOOK_UP))
    await v1.settle()
    assert "Whop's log shows it, accepted: log_" in said.replace("\\", "")
    assert readable(v1.review_card()).startswith("#1 · Accepted by Whop")
    assert "was accepted by Whop" in v1.newest("moderators")
    assert any("looked it up at Whop" in line for line in v1.texts("audit"))


async def test_in_discord_nothing_found_leaves_the_buttons(v1: Sandbox) -> None:
    v1.whop.fail_next(Fault.DROP_BEFORE_ACCEPT)
    await v1.approved()
    await v1.wait(UNDONE)
    assert "Whop's log shows nothing of it" in answer(await v1.press("Lena", LOOK_UP))
    assert button_labels(v1.review_card())[0] == LOOK_UP


async def test_in_discord_v5_has_no_such_button(v5: Sandbox) -> None:
    v5.whop.fail_next(Fault.DROP_AFTER_ACCEPT)
    await v5.approved()
    await v5.wait(UNDONE)
    assert button_labels(v5.review_card()) == ["It went out", "It did not", "Send again as a new broadcast"]


def test_a_delivery_without_attempts_is_looked_up_all_the_same() -> None:
    request = Request(method="POST", url="", headers={"User-Agent": marked(1, 1, key="k")}, body=b"")
    one = Delivery(
        id=1,
        broadcast_id=1,
        position=1,
        account="",
        request=request,
        status=DeliveryStatus.UNKNOWN,
        attempts=0,
        detail="",
    )
    assert one.may_be_looked_up
