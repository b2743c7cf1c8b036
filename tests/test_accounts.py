"""Several Whop accounts: each mistake is one sentence, and trouble of one is nothing to the others."""

import subprocess
import sys
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Final

import pytest
from pydantic import SecretStr
from sqlalchemy import update

from bot.accounts import Keyed, accounts_of, keyed_accounts
from bot.app import Worker
from bot.audit.chain import HERALD
from bot.broadcast import Broadcast, Status
from bot.cli.proof import chosen
from bot.clock import Watch
from bot.delivery import DeliveryStatus, NoAnswer, Request, Response
from bot.errors import ConfigurationError, Conflict, NotAllowed
from bot.freeze import Freeze, describe
from bot.key_trust import Verdict, keep, recall
from bot.lifecycle import Lifecycle
from bot.origin import PRODUCTION
from bot.permissions import Membership
from bot.policy.loading import load_policy
from bot.policy.model import ACCOUNT
from bot.preflight import check_whop
from bot.sandbox.sandbox import answer, response
from bot.sandbox.whop import Fault, SimulatedWhop
from bot.sending.rate import RateLimit
from bot.settings import Settings
from bot.store import Access, Store, Transaction
from bot.store.facts import unknown_streak
from bot.store.tables import deliveries
from bot.whop import V1, Account
from bot.whop.gateway import Rate, check_policy
from tests.conftest import OpenSandbox
from tests.harness import people
from tests.harness.clock import ManualClock
from tests.harness.found import only
from tests.harness.people import LENA, MAYA, OMAR, Members
from tests.harness.policy import (
    GUILD,
    OPERATE,
    OTHER_GUILD,
    POLICY,
    REVIEW_CHANNEL,
    account,
    audience,
    parsed,
    server,
)
from tests.harness.process import UNDONE

GOLD_KEY: Final = "fake-key-of-gold"
SILVER_KEY: Final = "fake-key-of-silver"
ENV: Final = {"DISCORD_TOKEN": "fake-token", "WHOP_KEY_GOLD": GOLD_KEY, "WHOP_KEY_SILVER": SILVER_KEY}
GOLD: Final = account("gold", "v1", "WHOP_KEY_GOLD")
SILVER: Final = account("silver", "v5", "WHOP_KEY_SILVER")
EXPERIENCE: Final = audience("One", "exp_gold")
PRODUCT: Final = audience("One", "prod_silver")


def two_servers(*, first: str | None = "gold", second: str | None = "silver") -> str:
    return server(EXPERIENCE, whop=first) + server(
        PRODUCT, name="Moonlight", guild=OTHER_GUILD, review=REVIEW_CHANNEL + 2, whop=second
    )


RIGHT: Final = GOLD + SILVER + two_servers()


# --- what stands in the files ----------------------------------------------------------------------


@pytest.fixture
def folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A folder to start in, with an environment that says nothing."""
    for name in (*ENV, "WHOP_API_KEY", "WHOP_API", "WHOP_BASE_URL", "HERALD_CONFIG"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(policy: str, env: dict[str, str]) -> None:
    Path("herald.toml").write_text(policy, encoding="utf-8")
    Path(".env").write_text("".join(f"{name}={value}\n" for name, value in env.items()), encoding="utf-8")


def read() -> dict[str, Account]:
    settings = Settings.load(Path(".env"))
    policy = load_policy(settings.herald_config)
    accounts = dict(accounts_of(settings, policy))
    check_policy(policy, {name: one.gateway for name, one in accounts.items()}, file="herald.toml")
    return accounts


def refusal(policy: str, env: dict[str, str]) -> str:
    write(policy, env)
    with pytest.raises(ConfigurationError) as refused:
        read()
    assert GOLD_KEY not in str(refused.value)
    return str(refused.value)


@pytest.mark.usefixtures("folder")
def test_each_account_has_its_generation_its_address_and_its_key() -> None:
    write(RIGHT, ENV)
    accounts = read()
    assert {name: (one.gateway.generation, one.origin) for name, one in accounts.items()} == {
        "gold": ("v1", "https://api.whop.com"),
        "silver": ("v5", "https://api.whop.com"),
    }
    assert len({one.digest for one in accounts.values()}) == 2
    assert accounts["gold"].environment == "Whop production, account gold"


@pytest.mark.usefixtures("folder")
def test_one_account_in_env_needs_no_table_and_its_name_is_told_to_nobody() -> None:
    write(POLICY, {"DISCORD_TOKEN": "fake-token", "WHOP_API_KEY": GOLD_KEY, "WHOP_API": "v1"})
    (found,) = read().values()
    assert (found.name, found.environment) == (ACCOUNT, "Whop production")


@pytest.mark.usefixtures("folder")
def test_the_only_account_is_that_of_a_server_which_names_none() -> None:
    write(GOLD + POLICY, ENV)
    read()
    policy = load_policy(Path("herald.toml"))
    assert {one.account for one in policy.servers} == {"gold"}


@pytest.mark.usefixtures("folder")
def test_a_key_may_stay_in_the_variable_of_the_one_account() -> None:
    write(
        account(ACCOUNT, "v1", "WHOP_API_KEY") + POLICY,
        {"DISCORD_TOKEN": "fake-token", "WHOP_API_KEY": GOLD_KEY},
    )
    assert set(read()) == {ACCOUNT}


@pytest.mark.usefixtures("folder")
def test_the_environment_wins_over_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    write(RIGHT, ENV)
    before = read()["gold"].digest
    monkeypatch.setenv("WHOP_KEY_GOLD", "another-key")
    assert read()["gold"].digest != before


NO_NAME: Final = (
    "write the name of the variable that holds the key, such as WHOP_KEY_GOLD, in quotes and capital letters;"
    " the key itself belongs in .env, and one that stood here should be replaced."
)
WITHOUT_GOLD: Final = {name: value for name, value in ENV.items() if name != "WHOP_KEY_GOLD"}


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    ("policy", "env", "sentence"),
    [
        (
            RIGHT,
            WITHOUT_GOLD,
            "herald.toml: whop “gold”: key: WHOP_KEY_GOLD is not set: add a line WHOP_KEY_GOLD= with the API"
            " key to .env.",
        ),
        (
            RIGHT,
            ENV | {"WHOP_KEY_SILVER": GOLD_KEY},
            "herald.toml: whop “silver”: key: WHOP_KEY_SILVER holds the same API key as that of “gold”: an"
            " account is one key, so remove one of the two, or correct its key.",
        ),
        (
            GOLD + account("silver", "v5", "WHOP_KEY_GOLD") + two_servers(),
            ENV,
            "herald.toml: whop “silver”: key: WHOP_KEY_GOLD is the key of “gold” too: an account is one key,"
            " so name another variable, or remove one of the two.",
        ),
        (
            account("gold", "v1", GOLD_KEY) + SILVER + two_servers(),
            ENV,
            f"herald.toml: whop “gold”: key: {NO_NAME}",
        ),
        (
            account("gold", "v1", "ABCDEF0123456789") + SILVER + two_servers(),
            ENV,
            f"herald.toml: whop “gold”: key: {NO_NAME}",
        ),
        (
            account("gold", "v1", "DISCORD_TOKEN") + SILVER + two_servers(),
            ENV,
            "herald.toml: whop “gold”: key: DISCORD_TOKEN is another setting, and no API key of Whop's: name"
            " the variable that holds one.",
        ),
        (
            GOLD + SILVER + two_servers(second="bronze"),
            ENV,
            "herald.toml: server “Moonlight”: whop: no table [[whop]] has the name “bronze”: name one that"
            " has (gold, silver).",
        ),
        (
            two_servers(second=None),
            {"DISCORD_TOKEN": "fake-token", "WHOP_API_KEY": GOLD_KEY, "WHOP_API": "v1"},
            "herald.toml: server “Sunrise Trading”: whop: no table [[whop]] has the name “gold”: add one, or"
            " remove the line.",
        ),
        (
            GOLD + SILVER + two_servers(second=None),
            ENV,
            "herald.toml: server “Moonlight”: whop: it is missing, and there are several accounts: name the"
            " one by which it sends (gold, silver).",
        ),
        (
            RIGHT,
            ENV | {"WHOP_API": "v1"},
            "herald.toml: it has tables [[whop]], and WHOP_API is set too: remove that from .env, and write"
            " api in each [[whop]].",
        ),
        (
            RIGHT,
            ENV | {"WHOP_BASE_URL": "https://sandbox-api.whop.com"},
            "herald.toml: it has tables [[whop]], and WHOP_BASE_URL is set too: remove that from .env, and"
            " write base_url in each [[whop]].",
        ),
        (
            RIGHT,
            ENV | {"WHOP_API_KEY": "another-key"},
            "herald.toml: it has tables [[whop]], and WHOP_API_KEY is set, which none of them names: write"
            ' key = "WHOP_API_KEY" in one of them, or remove it from .env.',
        ),
        (
            GOLD + account("Gold", "v5", "WHOP_KEY_SILVER") + two_servers(second="Gold"),
            ENV,
            "herald.toml: whop “Gold” is there already, as “gold”: rename or remove one.",
        ),
        (
            account("gold mine", "v1", "WHOP_KEY_GOLD") + SILVER + two_servers(),
            ENV,
            "herald.toml: whop “gold mine”: name: write 1 to 32 letters, digits, dots, dashes or underscores,"
            " in quotes.",
        ),
        (
            account("gold", "v2", "WHOP_KEY_GOLD") + SILVER + two_servers(),
            ENV,
            'herald.toml: whop “gold”: api: write "v1" (what Whop documents today) or "v5" (the older app'
            " API); there is no default.",
        ),
        (
            account("gold", "v1", "WHOP_KEY_GOLD", origin="https://evil.example") + SILVER + two_servers(),
            ENV,
            "herald.toml: whop “gold”: base_url: write https:// and one of Whop's hosts: api.whop.com or"
            " sandbox-api.whop.com.",
        ),
        (
            GOLD.replace("key", "kye") + SILVER + two_servers(),
            ENV,
            "herald.toml: whop “gold”: kye: there is no such key (did you mean key?): correct the spelling or"
            " remove it.",
        ),
        (
            RIGHT,
            ENV | {"WHOP_KEY_GOLD": f"'{GOLD_KEY} '"},
            ".env: WHOP_KEY_GOLD: it has spaces, quotes or foreign letters in it: paste the value again"
            " without them.",
        ),
        (
            RIGHT,
            ENV | {"DISCORD_TOKN": "fake"},
            ".env: DISCORD_TOKN: there is no such key (did you mean DISCORD_TOKEN?): correct the spelling or"
            " remove it.",
        ),
        (
            GOLD + SILVER + two_servers(second="gold"),
            ENV,
            "herald.toml: server “Moonlight”, audience “One”: targets.products: v1 cannot reach that; use"
            ' experiences, team, users_in_experience, or write reach = "once", or WHOP_API=v5.',
        ),
    ],
)
def test_a_mistake_about_accounts_gets_one_sentence_with_file_key_and_mend(
    policy: str, env: dict[str, str], sentence: str
) -> None:
    assert refusal(policy, env) == sentence


@pytest.mark.usefixtures("folder")
def test_every_key_is_struck_out_of_what_is_told() -> None:
    write(RIGHT, ENV)
    settings = Settings.load(Path(".env"))
    assert {GOLD_KEY, SILVER_KEY} <= set(settings.secrets())
    shown = (
        f"{settings!r} {settings.model_dump()} {keyed_accounts(settings, load_policy(Path('herald.toml')))!r}"
    )
    assert GOLD_KEY not in shown
    # Also where the policy is otherwise wrong, so that its own sentences are told without them.
    write("[[whop]]\nkey = 'WHOP_KEY_GOLD'\n[[whop]]\nkey = 7\n[server]", ENV)
    assert GOLD_KEY in Settings.load(Path(".env")).secrets()


# --- what was approved -----------------------------------------------------------------------------


def test_what_was_approved_for_the_account_of_env_keeps_its_fingerprint_and_no_other_account_has_it() -> None:
    def printed(name: str) -> str:
        one = Account.of(V1(PRODUCTION), origin=PRODUCTION, api_key=SecretStr("fake"), name=name)
        policy = parsed(account(name, "v1", "WHOP_KEY_GOLD") + POLICY)
        lifecycle = Lifecycle(policy=policy, accounts={name: one}, clock=ManualClock())
        return lifecycle.prints(policy.servers[0], "One", people.WORDS, None)["fingerprint"]

    # As it was when nobody knew of several.
    assert printed(ACCOUNT) == "4264866ac7334ac6db7fda8b955c1b0451abee9deb88bd34c4bacd6c1822759e"
    assert len({printed(name) for name in (ACCOUNT, "gold", "silver")}) == 3


# --- side by side ----------------------------------------------------------------------------------

MAYA_THERE, OMAR_THERE = (replace(one, id=one.id + 10, guild_id=OTHER_GUILD) for one in (MAYA, OMAR))


@dataclass(slots=True, kw_only=True)
class Two:
    """A process that sends by two accounts, each of a generation and a Whop of its own."""

    gold: SimulatedWhop
    silver: SimulatedWhop
    clock: ManualClock
    worker: Worker

    async def approve(self, guild: str, count: int = 1) -> list[Broadcast]:
        """Let broadcasts be approved that go out by that account, and let them be due."""
        author, approver = (MAYA, OMAR) if guild == "gold" else (MAYA_THERE, OMAR_THERE)
        service = self.worker.service
        return [await people.approved(service, author=author, approver=approver) for _ in range(count)]

    async def send(self, *names: str, after: timedelta = UNDONE) -> list[Status]:
        """Let one broadcast be approved for each of these accounts; return how each stands after a round."""
        sent = [only(await self.approve(name)) for name in names]
        # How many people they reach is counted before they are due.
        await self.worker.dispatcher.tick()
        self.clock.advance(after)
        await self.worker.dispatcher.tick()
        with self.worker.store.begin(Access.READ) as tx:
            return [tx.broadcasts.get(one.id).status for one in sent]


@pytest.fixture
async def two(tmp_path: Path, sqlite_url: str) -> AsyncGenerator[Two, None]:
    clock = ManualClock()
    async with AsyncExitStack() as stack:
        gold, silver = (SimulatedWhop(api_keys=[key], clock=clock) for key in (GOLD_KEY, SILVER_KEY))
        for whop in (gold, silver):
            await whop.start()
            stack.push_async_callback(whop.close)
        policy = parsed(
            account("gold", "v1", "WHOP_KEY_GOLD", origin=gold.origin)
            + account("silver", "v5", "WHOP_KEY_SILVER", origin=silver.origin)
            + two_servers()
        )
        settings = Settings.model_validate(
            {
                "discord_token": "fake-token",
                "database_url": sqlite_url,
                "herald_config": tmp_path / "herald.toml",
                "herald_witness": tmp_path / "herald.witness",
            }
        ).with_keys({"WHOP_KEY_GOLD": SecretStr(GOLD_KEY), "WHOP_KEY_SILVER": SecretStr(SILVER_KEY)})
        worker = await stack.enter_async_context(
            Worker.open(
                settings,
                policy,
                role_source=Members((MAYA, OMAR, MAYA_THERE, OMAR_THERE)),
                clock=clock,
                steady=clock.steady,
            )
        )
        yield Two(gold=gold, silver=silver, clock=clock, worker=worker)


async def test_each_server_sends_by_its_own_account_with_its_own_key_and_api(two: Two) -> None:
    assert await two.send("gold", "silver") == [Status.SENT, Status.SENT]
    assert [one.url for one in two.gold.exchanges] == [f"{two.gold.origin}/api/v1/notifications"]
    assert [one.url for one in two.silver.exchanges] == [f"{two.silver.origin}/api/v5/app/notifications"]
    with two.worker.store.begin(Access.READ) as tx:
        assert [only(tx.deliveries.of(number)).account for number in (1, 2)] == ["gold", "silver"]


async def test_a_pause_of_one_account_pauses_no_other(two: Two) -> None:
    two.gold.fault = Fault.RATE_LIMITED
    assert await two.send("gold", "silver") == [Status.SENDING, Status.SENT]
    two.gold.fault = Fault.NONE
    # While it pauses, nobody is counted there either.
    assert await two.send("gold", "silver") == [Status.APPROVED, Status.SENT]
    assert len(two.gold.exchanges) == 1


@pytest.fixture
def narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let v1 take two requests in a while, and one question."""
    monkeypatch.setattr(V1, "rate", Rate(3, timedelta(minutes=10)))


@pytest.mark.usefixtures("narrow")
async def test_a_full_rate_of_one_account_leaves_the_other_its_own(two: Two) -> None:
    assert await two.send("gold", "gold", "gold", "silver", "silver", "silver") == [
        *[Status.SENT] * 2, Status.SENDING, *[Status.SENT] * 3
    ]  # fmt: skip


async def test_unknown_answers_of_one_account_are_not_counted_for_another(two: Two) -> None:
    two.gold.fault, two.silver.fault = Fault.DROP_AFTER_ACCEPT, Fault.DROP_AFTER_ACCEPT
    for _ in range(2):
        await two.send("gold", "silver")
    with two.worker.store.begin(Access.READ) as tx:
        assert [tx.facts.get(unknown_streak(name)) for name in ("gold", "silver")] == [2, 2]
        assert tx.freezes.standing() == []


async def test_a_proof_of_one_accounts_key_is_none_of_anothers(two: Two) -> None:
    accounts = two.worker.service.lifecycle.accounts
    other = replace(accounts["gold"], name="bronze")
    with two.worker.store.begin() as tx:
        keep(tx, accounts["gold"], Verdict(honoured=True, words=""), at=two.clock())
        assert recall(tx, accounts["gold"])
        assert recall(tx, other) is None


async def test_a_transport_sends_its_key_to_no_address_but_its_own_accounts(two: Two) -> None:
    keyed = {
        "gold": Keyed(two.worker.service.lifecycle.accounts["gold"], SecretStr(GOLD_KEY)),
        "silver": Keyed(two.worker.service.lifecycle.accounts["silver"], SecretStr(SILVER_KEY)),
    }
    request = Request(
        method="POST", url=f"{two.silver.origin}/api/v5/app/notifications", headers={}, body=b"{}"
    )
    async with keyed["gold"].transport() as gold, keyed["silver"].transport() as silver:
        assert await gold.send(request) == NoAnswer(
            reason="its address is not that of its account", bytes_left=False
        )
        assert isinstance(await silver.send(request), Response)
        # The same host, and the other API.
        other = replace(request, url=f"{two.silver.origin}/api/v1/notifications")
        assert isinstance(await silver.send(other), NoAnswer)
    assert (len(two.gold.exchanges), len(two.silver.exchanges)) == (0, 1)


async def test_what_waits_for_an_account_that_is_gone_is_given_up_and_says_so(two: Two) -> None:
    two.gold.fault = Fault.RATE_LIMITED
    assert await two.send("gold") == [Status.SENDING]
    with two.worker.store.begin() as tx:
        tx._connection.execute(update(deliveries).values(account="bronze"))  # pyright: ignore[reportPrivateUsage]
    two.clock.advance(timedelta(minutes=2))
    await two.worker.dispatcher.tick()
    with two.worker.store.begin(Access.READ) as tx:
        broadcast = tx.broadcasts.get(1)
    assert broadcast.status is Status.FAILED
    assert broadcast.reason == "it was not sent in time: there is no account “bronze” any more"


# --- freezes ---------------------------------------------------------------------------------------

LENA_THERE: Final = replace(LENA, guild_id=OTHER_GUILD)


async def standing(two: Two) -> list[Freeze]:
    with two.worker.store.begin(Access.READ) as tx:
        return tx.freezes.standing()


async def test_a_refused_key_freezes_its_own_account_and_says_so_in_its_own_servers(two: Two) -> None:
    two.gold.fault = Fault.UNAUTHORIZED
    assert await two.send("gold", "silver") == [Status.FAILED, Status.SENT]
    freeze = only(await standing(two))
    assert (freeze.guild_id, freeze.account) == (None, "gold")
    assert describe(freeze).startswith(
        "Sending of all servers with the Whop account gold is frozen by Herald: "
    )
    two.gold.fault = Fault.NONE
    assert await two.send("gold", "silver") == [Status.APPROVED, Status.SENT]
    with two.worker.store.begin(Access.READ) as tx:
        frozen = {guild: [one.action for one in tx.audit.of_guild(guild)] for guild in (GUILD, OTHER_GUILD)}
    assert ["freeze" in frozen[guild] for guild in (GUILD, OTHER_GUILD)] == [True, False]

    await two.worker.service.unfreeze(LENA)
    two.clock.advance(timedelta(seconds=1))
    await two.worker.dispatcher.tick()
    assert len(two.gold.pushes) == 1


async def test_three_unknown_answers_of_one_account_freeze_no_other(two: Two) -> None:
    two.gold.fault = Fault.DROP_AFTER_ACCEPT
    for _ in range(3):
        await two.send("gold", "silver")
    assert only(await standing(two)).account == "gold"
    assert await two.send("silver") == [Status.SENT]


async def test_what_is_pending_when_its_account_freezes_waits_and_nothing_else_does(two: Two) -> None:
    two.gold.fault = Fault.RATE_LIMITED
    two.silver.fault = Fault.RATE_LIMITED
    assert await two.send("gold", "silver") == [Status.SENDING, Status.SENDING]
    two.gold.fault = two.silver.fault = Fault.NONE
    with two.worker.store.begin() as tx:
        gold = Freeze(guild_id=None, account="gold", by=HERALD, at=two.clock(), reason="a test")
        two.worker.service.lifecycle.freeze(tx, gold)
    two.clock.advance(timedelta(minutes=2))
    await two.worker.dispatcher.tick()
    assert (len(two.gold.pushes), len(two.silver.pushes)) == (0, 1)


async def test_a_freeze_of_everything_is_lifted_by_those_only_who_may_in_each_server(two: Two) -> None:
    service = two.worker.service
    with two.worker.store.begin() as tx:
        service.lifecycle.freeze(tx, Freeze(guild_id=None, by=HERALD, at=two.clock(), reason="a test"))
    refused = (
        "It halts Moonlight too, so it takes somebody who may lift it there as well, or `herald unfreeze` on"
        " the host."
    )
    nobody_there = replace(LENA_THERE, roles=frozenset[int]())
    somebody_else = replace(LENA_THERE, id=LENA.id + 1)
    for elsewhere in ([], [nobody_there], [somebody_else], [replace(LENA, interaction=None)]):
        with pytest.raises(NotAllowed) as told:
            await service.unfreeze(LENA, elsewhere=elsewhere)
        assert str(told.value) == refused
    assert await standing(two)
    await service.unfreeze(LENA, elsewhere=[LENA_THERE])
    assert await standing(two) == []


async def test_the_second_person_rule_holds_for_a_freeze_of_an_account(two: Two) -> None:
    with two.worker.store.begin() as tx:
        own = Freeze(guild_id=None, account="gold", by=LENA.person, at=two.clock(), reason="a test")
        two.worker.service.lifecycle.freeze(tx, own)
    with pytest.raises(NotAllowed, match="You froze it"):
        await two.worker.service.unfreeze(LENA)
    with pytest.raises(Conflict, match="Sending is not frozen"):
        await two.worker.service.unfreeze(replace(OMAR_THERE))
    await two.worker.service.unfreeze(OMAR)


async def test_of_a_freeze_of_more_servers_discord_is_asked_who_somebody_is_there(
    open_sandbox: OpenSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    def with_another(policy: str) -> str:
        there = server(EXPERIENCE, name="Moonlight", guild=OTHER_GUILD, review=REVIEW_CHANNEL + 2)
        return policy + there

    async with open_sandbox("v1", edit_policy=with_another) as sandbox:
        with sandbox.herald.store.begin() as tx:
            wanted = Freeze(guild_id=None, by=HERALD, at=sandbox.clock(), reason="a test")
            sandbox.herald.service.lifecycle.freeze(tx, wanted)
        await sandbox.settle()
        told = (
            "who may do so in each of Sunrise Trading, Moonlight, or `herald unfreeze` on the host, can lift"
        )
        assert told in sandbox.newest("review")
        lena = sandbox.person("Lena")

        async def lift() -> str:
            shown = await lena.slash(sandbox.channel("moderators"), "notify unfreeze")
            return answer(await lena.click(response(shown), label="Lift the freeze"))

        # Discord knows no such server.
        assert (await lift()).startswith("It halts Moonlight too")
        asked: list[tuple[int, int]] = []

        async def membership_of(guild_id: int, user_id: int) -> Membership:
            asked.append((guild_id, user_id))
            return Membership(frozenset([OPERATE]))

        monkeypatch.setattr(sandbox.herald.client.members, "membership_of", membership_of)
        assert await lift() == "The freeze is lifted."
        assert asked == [(OTHER_GUILD, lena.id)]


def test_the_host_freezes_one_account_and_lifts_what_others_froze_of_it(folder: Path) -> None:
    write(RIGHT, ENV | {"DATABASE_URL": f"sqlite:///{folder / 'herald.db'}"})

    def herald(*arguments: str) -> tuple[int, str]:
        done = subprocess.run(
            [sys.executable, "-m", "bot", *arguments],
            cwd=folder,
            env={"PYTHONPATH": str(Path(__file__).parents[1]), "PYTHONUTF8": "1", "COLUMNS": "200"},
            capture_output=True,
            text=True,
            check=False,
        )
        return done.returncode, done.stdout + done.stderr

    assert herald("freeze", "Wrong key", "--account", "gold") == (
        0,
        "✓ Sending by gold is frozen. What is under way is finished; nothing new starts.\n",
    )
    status, said = herald("freeze", "Wrong key", "--account", "bronze")
    assert (status, said) == (2, "--account: there is no account “bronze”: name one of gold, silver.\n")
    with Store.open_to_read(f"sqlite:///{folder / 'herald.db'}") as store, store.begin(Access.READ) as tx:
        assert [one.scope for one in tx.freezes.standing()] == [(None, "gold")]
    status, said = herald("unfreeze", "--account", "gold")
    assert (status, said.splitlines()[0]) == (
        2,
        "The host froze it, so somebody in Discord has to lift it: /notify unfreeze.",
    )
    assert herald("unfreeze", "--account", "silver") == (0, "✓ 0 freeze(s) lifted.\n")


# --- one limiter for each, and what the commands ask -----------------------------------------------


async def test_what_one_account_sends_takes_no_room_of_another(two: Two) -> None:
    def limit(name: str) -> RateLimit:
        watch = Watch(two.clock, two.clock.steady)
        rate = Rate(3, timedelta(seconds=10))
        return RateLimit(
            name, rate, clock=two.clock, steady=two.clock.steady, watch=watch, alarm=lambda _tx, _why: None
        )

    def rooms(tx: Transaction) -> list[int]:
        return [one.room(tx) for one in limits]

    (broadcast,) = await two.approve("gold")
    limits = [limit("gold"), limit("silver")]
    store, request = two.worker.store, Request(method="POST", url="", headers={}, body=b"")
    with store.begin() as tx:
        assert rooms(tx) == [3, 3]
        tx.deliveries.add(broadcast, [request] * 3, account="gold", at=two.clock())
        claims = tx.deliveries.claim(tx.deliveries.of(broadcast.id), owner="me", at=two.clock())
        limits[0].begin(tx, len(claims))
    with store.begin() as tx:
        # Under way, then just ended, then counted anew by a process that has seen nothing of it.
        assert rooms(tx) == [0, 3]
        for claim in claims:
            tx.deliveries.settle(claim, status=DeliveryStatus.ACCEPTED, detail="", at=two.clock())
        assert rooms(tx) == [0, 3]
        limits = [limit("gold"), limit("silver")]
        assert rooms(tx) == [0, 3]


async def test_check_asks_by_each_account_and_names_the_one_that_is_wrong(two: Two) -> None:
    accounts = two.worker.service.lifecycle.accounts
    # What is a topic of one server only, the other's account need not know.
    there = server(PRODUCT, name="Moonlight", guild=OTHER_GUILD, whop="silver")
    policy = parsed(GOLD + SILVER + server(EXPERIENCE, whop="gold", topic="alerts") + there)
    two.silver.topics[:] = [("news", "News")]

    async def problems(name: str, api_key: str) -> list[str]:
        async with Keyed(accounts[name], SecretStr(api_key)).transport() as transport:
            return [sentence async for sentence in check_whop(policy, accounts[name], transport)]

    assert [await problems("gold", GOLD_KEY), await problems("silver", SILVER_KEY)] == [[], []]
    sentence = only(await problems("silver", GOLD_KEY))
    assert sentence.startswith("herald.toml: whop “silver”: key: Whop v5 answered 401")


def test_where_there_are_several_accounts_a_proof_says_whose_key(two: Two) -> None:
    accounts = two.worker.service.lifecycle.accounts
    keyed = [Keyed(one, SecretStr("fake")) for one in accounts.values()]
    assert chosen(keyed, "gold").account.name == "gold"
    assert chosen(keyed[:1], None).account.name == "gold"
    for wanted, said in (
        (None, "--account: there are several accounts: name one of gold, silver."),
        ("bronze", "--account: there is no account “bronze”: name one of gold, silver."),
    ):
        with pytest.raises(ConfigurationError) as refused:
            chosen(keyed, wanted)
        assert str(refused.value) == said
