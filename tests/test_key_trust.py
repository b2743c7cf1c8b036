"""The idempotency key is taken for proven only after Whop has shown that it honours it."""

import asyncio
import os
import sys
from collections import Counter
from collections.abc import AsyncGenerator
from datetime import UTC, datetime, timedelta
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from typing_extensions import override

from bot.audit.broadcast_export import told
from bot.broadcast import TWICE, Status
from bot.clock import utc_now
from bot.delivery import Attempt, NoAnswer, Request, Response
from bot.key_trust import (
    CLOCK_SLACK,
    KEY_LIFE,
    REFUTED,
    REFUTED_BY,
    KeyTrust,
    Verdict,
    keep,
    prove,
    recall,
    trial,
)
from bot.policy.audience import UsersInExperience
from bot.policy.model import ACCOUNT
from bot.preflight import look_up_proof
from bot.sandbox.sandbox import API_KEY, UNDONE, Sandbox, readable
from bot.sandbox.whop import Fault, SimulatedWhop
from bot.service.looking import read_courses
from bot.store import Access, Store
from bot.whop import V1, Account, gateway_for
from bot.whop.transport import Transport
from tests.conftest import MakeSettings, OpenSandbox
from tests.harness.people import OMAR
from tests.harness.process import Cluster, Process

ROOT = Path(__file__).parents[1]
NOW = datetime(2026, 11, 23, 9, 41, tzinfo=UTC)
KEY = "fake-whop-key"
ME = UsersInExperience(experience="exp_gold", users=("user_maya",))
ORIGIN = "https://api.whop.com"


@pytest.fixture
async def whop() -> AsyncGenerator[SimulatedWhop, None]:
    simulated = SimulatedWhop(api_keys=[KEY], clock=lambda: NOW, slow_seconds=60)
    await simulated.start()
    yield simulated
    await simulated.close()


async def tried(whop: SimulatedWhop) -> Verdict:
    gateway = gateway_for("v1", origin=whop.origin)
    async with Transport(api_key=SecretStr(KEY)) as transport:
        return await prove(trial(gateway, ME, new_key=lambda: "one-key"), transport)


def account(*, generation: str = "v1", origin: str = ORIGIN, key: str = KEY) -> Account:
    return Account.of(gateway_for(generation, origin=origin), origin=origin, api_key=SecretStr(key))


async def test_two_equal_requests_of_which_one_is_pushed_are_a_proof(whop: SimulatedWhop) -> None:
    assert (await tried(whop)).honoured
    first, second = whop.exchanges
    assert (first.body, first.headers) == (second.body, second.headers)
    assert '"user_ids":["user_maya"]' in first.body
    assert (first.replayed, second.replayed, len(whop.pushes)) == (False, True, 1)


async def test_a_whop_that_ignores_keys_is_found_out(whop: SimulatedWhop) -> None:
    whop.honours_keys = False
    assert (await tried(whop)).honoured is False
    assert len(whop.pushes) == 2


@pytest.mark.parametrize(
    ("fault", "number"),
    [
        *product(
            (Fault.RATE_LIMITED, Fault.SERVER_ERROR, Fault.UNAUTHORIZED, Fault.DROP_AFTER_ACCEPT), (1, 2)
        ),
        # A repeated one is answered from memory, and its words are not judged again.
        (Fault.REJECT, 1),
    ],
)
async def test_anything_but_two_acceptances_proves_nothing(
    whop: SimulatedWhop, fault: Fault, number: int
) -> None:
    whop.fail_next(Fault.NONE, times=number - 1)
    whop.fail_next(fault)
    verdict = await tried(whop)
    assert verdict.honoured is None
    assert KEY not in verdict.words


class _SaysNo(Transport):
    """A way on which each answer says that it failed, or comes from somebody else."""

    def __init__(self, body: str) -> None:
        super().__init__(api_key=SecretStr(KEY))
        self._body = body

    @override
    async def send(self, *_: Any, **__: Any) -> Response | NoAnswer:
        return Response(status=202, headers={"Idempotent-Replayed": "true"}, body=self._body)


@pytest.mark.parametrize("body", ['{"success":false}', "<html>"])
async def test_two_answers_that_contradict_themselves_prove_nothing(body: str) -> None:
    request = trial(gateway_for("v1", origin=ORIGIN), ME, new_key=lambda: "one-key")
    verdict = await prove(request, _SaysNo(body))
    assert (verdict.honoured, verdict.words.partition(":")[0]) == (None, "The first request was not accepted")


class _NextV1(V1):
    version_date = "2027-01-01"


async def test_a_proof_holds_for_one_key_one_address_and_one_version_only(tmp_path: Path) -> None:
    proven = account()
    async with Store.open(f"sqlite:///{tmp_path / 'herald.db'}") as store:
        with store.begin() as tx:
            keep(tx, proven, Verdict(honoured=True, words=""), at=NOW)
        with store.begin(Access.READ) as tx:
            found = recall(tx, proven)
            others = [
                account(key="another"),
                account(origin="https://sandbox-api.whop.com"),
                account(generation="v5"),
                Account.of(_NextV1(ORIGIN), origin=ORIGIN, api_key=SecretStr(KEY)),
            ]
            assert found is not None
            assert found.at == NOW
            assert [recall(tx, other) for other in others] == [None] * 4
        with store.begin() as tx:
            keep(tx, proven, Verdict(honoured=None, words=""), at=NOW)
            assert recall(tx, proven)
            keep(tx, proven, Verdict(honoured=False, words=""), at=NOW)
            assert recall(tx, proven) is None


async def herald(
    folder: Path, whop: SimulatedWhop, *arguments: str, api: str = "v1", **variables: str
) -> tuple[int, str]:
    """Run the real command against the simulated Whop; return its status and all that it said."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bot", *arguments,
        cwd=folder,
        env={
            "PATH": os.defpath, "PYTHONPATH": str(ROOT), "PYTHONUTF8": "1", "COLUMNS": "200",
            "DISCORD_TOKEN": "fake-discord-token", "WHOP_API_KEY": KEY, "WHOP_API": api,
            "WHOP_BASE_URL": whop.origin,
        } | variables,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    said, _ = await process.communicate(b"n\n")
    return process.returncode or 0, said.decode()


async def test_the_command_keeps_the_proof_and_never_the_key(
    whop: SimulatedWhop, tmp_path: Path, make_settings: MakeSettings
) -> None:
    status, said = await herald(tmp_path, whop, "prove-key", "user_maya", "exp_gold", "--yes")
    assert (status, len(whop.exchanges), len(whop.pushes)) == (0, 2, 1)
    assert "Idempotency keys are proven for this API key" in said
    data = tmp_path / "data"
    assert KEY not in said
    assert all(KEY.encode() not in path.read_bytes() for path in data.iterdir())

    settings = make_settings(database_url=f"sqlite:///{data / 'herald.db'}")
    line = await look_up_proof(settings, account(origin=whop.origin))
    assert line.startswith("Whop's idempotency keys are proven for this API key, since 20")


async def test_the_command_proves_nothing_where_keys_are_ignored(whop: SimulatedWhop, tmp_path: Path) -> None:
    whop.honours_keys = False
    status, said = await herald(tmp_path, whop, "prove-key", "user_maya", "exp_gold", "--yes")
    assert status == 1
    assert "Whop accepted both requests as new" in said
    assert "Nothing is proven" in said


async def test_the_command_sends_nothing_without_a_yes(whop: SimulatedWhop, tmp_path: Path) -> None:
    status, said = await herald(tmp_path, whop, "prove-key", "user_maya", "exp_gold")
    assert (status, whop.exchanges) == (1, [])
    assert "to user_maya in exp_gold, at simulated Whop" in said


@pytest.mark.parametrize(
    ("user", "experience", "api", "sentence"),
    [
        (
            "user_maya",
            "exp_gold",
            "v5",
            "WHOP_API: Whop's v5 has no idempotency keys, so there is nothing to",
        ),
        ("maya", "exp_gold", "v1", "USER_ID: write a Whop id that begins with user_."),
        ("user_maya", "gold", "v1", "EXPERIENCE_ID: write a Whop id that begins with exp_."),
    ],
)
async def test_the_command_refuses_in_one_sentence(
    whop: SimulatedWhop, tmp_path: Path, *, user: str, experience: str, api: str, sentence: str
) -> None:
    status, said = await herald(tmp_path, whop, "prove-key", user, experience, "--yes", api=api)
    assert (status, whop.exchanges) == (2, [])
    assert said.startswith(sentence)
    assert len(said.splitlines()) == 1


def entries(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


async def test_check_says_what_is_not_proven_and_makes_no_database(
    tmp_path: Path, make_settings: MakeSettings
) -> None:
    async def line(generation: str) -> str:
        return await look_up_proof(make_settings(), account(generation=generation))

    assert "are not proven for this API key" in await line("v1")
    assert "herald check --prove USER_ID EXPERIENCE_ID" in await line("v1")
    assert await line("v5") == "Whop's v5 has no idempotency keys, so there is nothing to prove."
    assert entries(tmp_path) == []


async def test_the_command_works_beside_a_running_herald_which_goes_by_it_at_once(
    open_sandbox: OpenSandbox,
) -> None:
    async with open_sandbox("v1") as sandbox:
        # The command goes by the real time.
        await sandbox.world.env.advance_time((utc_now() - sandbox.clock()).total_seconds())
        settings = sandbox.settings
        status, said = await herald(
            settings.database_file.parent, sandbox.whop, "prove-key", "user_maya", "exp_gold", "--yes",
            WHOP_API_KEY=API_KEY, DATABASE_URL=settings.database_url.get_secret_value(),
        )  # fmt: skip
        assert status == 0, said
        assert "a Herald that runs goes by that from now on" in said
        before = len(sandbox.whop.pushes)

        sandbox.whop.fail_next(Fault.DROP_AFTER_ACCEPT)
        await sandbox.approved()
        await sandbox.wait(UNDONE)
        await sandbox.wait(UNDONE)
        assert "Accepted by Whop" in readable(sandbox.review_card())
        assert len(sandbox.whop.pushes) == before + 1


async def test_while_herald_tries_again_the_card_says_so_and_why(open_sandbox: OpenSandbox) -> None:
    async with open_sandbox("v1") as sandbox:
        await proven(sandbox)
        sandbox.whop.fail_next(Fault.DROP_AFTER_ACCEPT)
        await sandbox.approved()
        await sandbox.wait(UNDONE)
        card = readable(sandbox.review_card())
        assert "Trying again: no answer from Whop: the connection was closed." in card

        await sandbox.wait(UNDONE)
        assert "Accepted by Whop" in readable(sandbox.review_card())
        assert len(sandbox.whop.pushes) == 1


async def proven(sandbox: Sandbox) -> None:
    mine = sandbox.herald.service.lifecycle.accounts[ACCOUNT]
    with sandbox.herald.store.begin() as tx:
        keep(tx, mine, Verdict(honoured=True, words=""), at=sandbox.clock())


# --- what a proof covers ---------------------------------------------------------------------------

A_BIT = timedelta(microseconds=1)
PROVEN = KeyTrust(at=NOW)


def attempt(started: datetime, finished: datetime | None = None) -> Attempt:
    return Attempt(started_at=started, finished_at=finished)


@pytest.mark.parametrize(
    ("trust", "attempts", "now", "highest", "covered"),
    [
        (PROVEN, [], NOW - KEY_LIFE, None, True),
        (PROVEN, [attempt(NOW)], NOW, None, True),
        (PROVEN, [attempt(NOW - A_BIT)], NOW, None, False),
        (PROVEN, [attempt(NOW - A_BIT), attempt(NOW)], NOW, None, False),
        (PROVEN, [attempt(NOW)], NOW + KEY_LIFE - A_BIT, None, True),
        (PROVEN, [attempt(NOW)], NOW + KEY_LIFE, None, False),
        (PROVEN, [attempt(NOW), attempt(NOW + KEY_LIFE - A_BIT)], NOW + KEY_LIFE, None, False),
        (PROVEN, [attempt(NOW)], NOW, NOW + KEY_LIFE, False),
        (PROVEN, [attempt(NOW, NOW + CLOCK_SLACK)], NOW, None, True),
        (PROVEN, [attempt(NOW, NOW + CLOCK_SLACK + A_BIT)], NOW, None, False),
        (PROVEN, [attempt(NOW), attempt(NOW + CLOCK_SLACK + A_BIT)], NOW, None, False),
        (PROVEN, [attempt(NOW)], NOW, NOW + CLOCK_SLACK, True),
        (PROVEN, [attempt(NOW)], NOW, NOW + CLOCK_SLACK + A_BIT, False),
        (KeyTrust(at=NOW, highest=NOW), [attempt(NOW)], NOW, None, False),
        (KeyTrust(at=NOW, highest=NOW), [attempt(NOW + A_BIT)], NOW + A_BIT, None, True),
        (KeyTrust(at=NOW, highest=NOW), [], NOW, None, True),
    ],
)
def test_a_proof_covers_what_was_tried_since_while_the_key_certainly_lives(
    trust: KeyTrust, attempts: list[Attempt], now: datetime, highest: datetime | None, covered: bool
) -> None:
    assert trust.covers(attempts, now=now, highest=highest) is covered


# --- a proof that no longer holds ------------------------------------------------------------------


@pytest.fixture
async def cluster(tmp_path: Path, sqlite_url: str) -> AsyncGenerator[Cluster, None]:
    async with Cluster.open(sqlite_url, tmp_path) as opened:
        yield opened


async def proven_process(cluster: Cluster) -> Process:
    process = await cluster.join()
    await process.prove()
    return process


async def repeated(
    cluster: Cluster, process: Process, *, honoured: bool, fault: Fault = Fault.DROP_AFTER_ACCEPT
) -> int:
    """Let a request go without an answer once, and be repeated; return its broadcast."""
    cluster.whop.honours_keys = honoured
    cluster.whop.fail_next(fault)
    broadcast = await process.due()
    await process.tick()
    await process.tick(timedelta(minutes=3))
    return broadcast.id


async def reasons(process: Process) -> list[str]:
    return [freeze.reason for freeze in await process.freezes()]


async def test_repeats_that_whop_takes_for_new_ones_in_a_row_end_the_trust_and_freeze(
    cluster: Cluster,
) -> None:
    process = await proven_process(cluster)
    doubled = [await repeated(cluster, process, honoured=False) for _ in range(REFUTED_BY)]
    assert len(cluster.whop.pushes) == 2 * REFUTED_BY
    assert await reasons(process) == [REFUTED]
    assert await process.lines("freeze") == [REFUTED]
    for number in doubled:
        assert await process.status(number) is Status.SENT
        assert "may have got it twice" in (await process.get(number)).reason
    assert len(await process.lines(TWICE)) == REFUTED_BY
    channel = (await process.get()).origin_channel_id
    with process.store.begin(Access.READ) as tx:
        echoed = [post.broadcast_id for post in tx.outbox.posts_to_make(channel, process.clock(), limit=99)]
    assert Counter(echoed) == dict.fromkeys(doubled, 2), (
        "its author is told when it was accepted, and of the doubt"
    )


async def test_what_a_crash_leaves_is_repeated_by_so_few_at_once_as_a_stale_proof_may_cost(
    cluster: Cluster,
) -> None:
    process = await proven_process(cluster)
    numbers = [(await process.approved()).id for _ in range(REFUTED_BY + 3)]
    cluster.clock.advance(UNDONE)
    cluster.whop.fail_next(Fault.DROP_AFTER_ACCEPT, times=len(numbers))
    await process.tick()
    assert len(cluster.whop.pushes) == len(numbers)
    await process.approved()
    await process.count()
    cluster.whop.honours_keys = False
    cluster.clock.advance(timedelta(minutes=3))
    await process.tick()
    assert len(cluster.whop.pushes) == len(numbers) + REFUTED_BY + 1, "what is new is not kept back"
    assert await reasons(process) == [REFUTED]
    for _ in range(3):
        await process.tick(timedelta(minutes=3))
    assert len(cluster.whop.pushes) == len(numbers) + REFUTED_BY + 1


async def test_processes_together_repeat_no_more_at_once_than_a_stale_proof_may_cost(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = await proven_process(cluster), await cluster.join()
    numbers = [(await one.approved()).id for _ in range(REFUTED_BY + 3)]
    cluster.clock.advance(UNDONE)
    cluster.whop.fail_next(Fault.DROP_AFTER_ACCEPT, times=len(numbers))
    await one.tick()
    cluster.clock.advance(timedelta(minutes=3))
    held: list[Request] = []
    all_held, go_on = asyncio.Event(), asyncio.Event()
    send = one.wire.send

    async def slowly(request: Request, **more: Any) -> Response | NoAnswer:
        held.append(request)
        if len(held) == REFUTED_BY:
            all_held.set()
        await go_on.wait()
        return await send(request, **more)

    monkeypatch.setattr(one.wire, "send", slowly)
    ticking = asyncio.create_task(one.tick())
    await all_held.wait()
    await two.tick()
    assert len(cluster.whop.exchanges) == len(numbers), "the other one waits for those that are under way"
    go_on.set()
    await ticking
    await two.tick()
    assert len(cluster.whop.exchanges) == len(numbers) + 2 * REFUTED_BY


async def test_without_the_trust_nothing_is_repeated_until_the_keys_are_proven_again(
    cluster: Cluster,
) -> None:
    process = await proven_process(cluster)
    for _ in range(REFUTED_BY):
        await repeated(cluster, process, honoured=False)
    await process.unfreeze(OMAR)
    unknown = await repeated(cluster, process, honoured=False)
    assert len(cluster.whop.pushes) == 2 * REFUTED_BY + 1
    assert await process.status(unknown) is Status.UNKNOWN

    await process.prove()
    sent = await repeated(cluster, process, honoured=True)
    assert await process.status(sent) is Status.SENT
    assert len(cluster.whop.pushes) == 2 * REFUTED_BY + 2


async def test_a_repeat_that_whop_knows_shows_that_the_keys_are_honoured(cluster: Cluster) -> None:
    process = await proven_process(cluster)
    for honoured in (False, False, True, False, False):
        await repeated(cluster, process, honoured=honoured)
    assert await reasons(process) == []
    assert await process.lines(TWICE) == []


async def test_repeats_are_counted_across_a_restart(cluster: Cluster) -> None:
    process = await proven_process(cluster)
    for _ in range(REFUTED_BY - 1):
        await repeated(cluster, process, honoured=False)
    await process.leave()
    process = await cluster.join()
    await repeated(cluster, process, honoured=False)
    assert await reasons(process) == [REFUTED]


async def test_repeats_of_what_whop_had_not_begun_with_say_nothing(cluster: Cluster) -> None:
    process = await proven_process(cluster)
    for _ in range(REFUTED_BY + 1):
        await repeated(cluster, process, honoured=True, fault=Fault.RATE_LIMITED)
    assert await reasons(process) == []
    assert len(cluster.whop.pushes) == REFUTED_BY + 1


@pytest.mark.parametrize(
    ("status", "bytes_left", "had_it"),
    [
        (None, None, True),
        (None, True, True),
        (None, False, False),
        (429, None, False),
        (500, None, True),
        (502, None, False),
        (503, None, False),
        (504, None, True),
    ],
)
def test_whop_had_what_left_and_was_not_turned_away_on_the_way(
    status: int | None, bytes_left: bool | None, had_it: bool
) -> None:
    assert Attempt(started_at=NOW, http_status=status, bytes_left=bytes_left).was_given_up is had_it


async def test_a_card_and_the_answer_in_one_sentence_say_that_it_may_have_come_twice(
    open_sandbox: OpenSandbox,
) -> None:
    async with open_sandbox("v1") as sandbox:
        await proven(sandbox)
        sandbox.whop.honours_keys = False
        for _ in range(REFUTED_BY):
            sandbox.whop.fail_next(Fault.DROP_AFTER_ACCEPT)
            await sandbox.approved()
            await sandbox.wait(UNDONE)
            await sandbox.wait(UNDONE)
        card = readable(sandbox.review_card())
        assert "Accepted by Whop" in card
        assert "Customers may have got it twice: Whop takes repeated requests for new ones" in card
        with sandbox.herald.store.begin(Access.READ) as tx:
            (course,) = read_courses(tx, sandbox.policy, [tx.broadcasts.get(REFUTED_BY)])
        said = told(course)
        assert "sent to Gold members, accepted by Whop" in said
        assert said.endswith("; but customers may have got it twice.")
