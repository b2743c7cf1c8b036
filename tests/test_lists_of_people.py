"""People whom a moderator brings along: checked with Whop, confirmed, approved as a large audience."""

import csv
import json
import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from io import StringIO
from pathlib import Path
from typing import Any, Final

import discord
import pytest
import simcord
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import create_engine
from sqlalchemy.pool import NullPool

from bot.audit.broadcast_export import Scopes
from bot.audit.chain import Event
from bot.broadcast import Broadcast, Status
from bot.delivery import Response
from bot.errors import ConfigurationError, Conflict, NotReady
from bot.own_list import OWN, OWN_LABEL, Named, read_pasted
from bot.permissions import Action, decide
from bot.policy.audience import Listed
from bot.policy.model import ACCOUNT
from bot.sandbox.sandbox import UNDONE, Sandbox, answer, button_labels, readable, response
from bot.sandbox.whop import Owners, People, ReadFault
from bot.sending.list_checks import ListChecks, judge
from bot.sending.start import NOT_THESE
from bot.series import Ends, Every
from bot.store import Access
from bot.store.own_lists import Judged, ListRow, OwnLists, RowState
from bot.store.tables import metadata
from bot.whop import gateway_for
from bot.whop.gateway import check_policy
from tests.conftest import ONCE
from tests.harness.found import only
from tests.harness.people import CHANNEL, MAYA
from tests.harness.people import WORDS as WRITTEN
from tests.harness.policy import COMPOSE, ONE, ROLES, audience, parsed, server
from tests.harness.process import Cluster
from tests.properties import examples

NAMES: Final = {"user_maya": "maya", "user_omar": "omar", "user_silva": "silva"}
VIPS: Final = (
    "Name;User ID;Plan\n"
    "Maya;user_maya;Gold\n"
    "Omar;@omar;Gold\n"
    ";;\n"
    "Maya again;maya;Gold\n"
    "Silva;silva;Silver\n"
    "Nobody;=user_nobody;Gold\n"
    "Ghost;user_ghost;Gold\n"
    "A product;prod_gold;Gold\n"
)
WORDS: Final = {"subject": "For you alone", "content": "Come in"}


def members(size: int = 0) -> People:
    """Return people with Gold, one with Silver alone, and a crowd of others who have Gold."""
    return People(
        products={
            "prod_gold": Owners(named=["user_maya", "user_omar"], crowd=range(size)),
            "prod_silver": Owners(named=["user_silva"]),
        },
        experiences={"exp_gold": ["prod_gold"], "exp_silver": ["prod_silver"]},
        usernames=NAMES,
    )


async def compose(
    sandbox: Sandbox, text: str | bytes | None = VIPS, *, name: str = "vips.csv", **words: Any
) -> simcord.InteractionResult:
    """Let Maya compose for a list, attached to the command; return what her form was answered with."""
    maya, channel = sandbox.person("Maya"), sandbox.channel("moderators")
    options: dict[str, Any] = {"audience": OWN, "topic": "announcements"}
    if text is not None:
        options["list"] = (name, text.encode() if isinstance(text, str) else text)
    shown = await maya.slash(channel, "notify compose", **options)
    if shown.modal is None:
        return shown
    where = {"where": "same"} if sandbox.generation == "v5" else {}
    return await maya.submit_modal(shown, WORDS | where | words)


def plain(message: discord.Message) -> str:
    """Return all that can be read in a message, without the signs around names."""
    return re.sub("[\u2068\u2069]", "", readable(message))


async def show(sandbox: Sandbox, name: str = "Maya") -> discord.Message:
    """Let somebody open the broadcast; return what they see."""
    channel = sandbox.channel("moderators")
    return response(await sandbox.person(name).slash(channel, "notify show", broadcast="1"))


async def press(sandbox: Sandbox, card: discord.Message, label: str, name: str = "Maya") -> discord.Message:
    return response(await sandbox.person(name).click(card, label=label))


async def confirmed(sandbox: Sandbox) -> discord.Message:
    """Compose for a list, let it be checked, and use those who can be reached."""
    await compose(sandbox)
    await sandbox.settle()
    card = await show(sandbox)
    return await press(sandbox, card, only([one for one in button_labels(card) if one.startswith("Use")]))


async def approved(sandbox: Sandbox) -> None:
    """Ask for approval, and let two approve."""
    await sandbox.submit(await sandbox.person("Maya").slash(
        sandbox.channel("moderators"), "notify show", broadcast="1"
    ))  # fmt: skip
    await sandbox.press("Omar", "Approve")
    await sandbox.press("Lena", "Approve")


def broadcast(sandbox: Sandbox, number: int = 1) -> Broadcast:
    with sandbox.herald.store.begin(Access.READ) as tx:
        return tx.broadcasts.get(number)


def record(sandbox: Sandbox) -> Sequence[Event]:
    with sandbox.herald.store.begin(Access.READ) as tx:
        return tx.audit.of_guild(sandbox.world.guild.id)


async def rows_of(message: discord.Message) -> list[list[str]]:
    """Return the rows of the one CSV file that is attached."""
    file = only([one for one in message.attachments if one.filename.endswith(".csv")])
    return [*csv.reader(StringIO((await file.read()).decode(), newline=""))]


async def test_a_list_is_checked_confirmed_approved_and_reaches_each_of_its_people_once(
    sandbox: Sandbox,
) -> None:
    sandbox.whop.people = members()
    v1 = sandbox.generation == "v1"
    draft = response(await compose(sandbox))
    assert "List: vips.csv" in readable(draft)
    assert "Whop is being asked about the people of “vips.csv”" in plain(draft)
    assert "Ask for approval" not in button_labels(draft)
    await sandbox.settle()
    assert "The list of **#1" in sandbox.newest("moderators")

    card = await show(sandbox)
    out = {row[1]: row[2] for row in (await rows_of(card))[1:]}
    good = 2 if v1 else 3
    assert out.pop("'=user_nobody").startswith("it is a formula")
    assert out.pop("prod_gold").startswith("it is the id of a product")
    assert out.pop("user_ghost") == "Whop knows nobody of that id or username"
    assert out == ({"silva": "they have no access to the experience exp_gold"} if v1 else {})
    assert f"{good} people" in readable(card)
    assert "1 repeat was removed." in readable(card)
    labels = button_labels(card)
    assert f"Use these {good}" in labels
    assert "Ask for approval" not in labels

    used = await press(sandbox, card, f"Use these {good}")
    assert f"#1 goes to these {good} people and nobody else." in readable(used)
    await approved(sandbox)
    assert f"{good} people of Maya's list" in readable(sandbox.review_card())
    await sandbox.wait(UNDONE)
    assert broadcast(sandbox).status is Status.SENT
    exchange = only(sandbox.whop.exchanges)
    body = json.loads(exchange.body)
    if v1:
        assert (body["experience_id"], body["user_ids"]) == ("exp_gold", ["user_maya", "user_omar"])
    else:
        assert body["targets"] == [{"users": ["user_maya", "user_omar", "user_silva"]}]
    lifecycle = sandbox.herald.service.lifecycle
    # Its proof code can be computed again from what is exported.
    assert Scopes(map(json.dumps, lifecycle.scopes())).parts(broadcast(sandbox)) is not None
    # Who they are stands in no record.
    said = " ".join(one.detail for one in record(sandbox))
    assert not any(user in said for user in NAMES)
    assert re.search(rf"{good} people, digest [0-9a-f]{{16}}", said)


@ONCE
async def test_approvers_see_the_first_of_a_list_and_download_all_of_it_which_is_recorded(
    sandbox: Sandbox,
) -> None:
    sandbox.whop.people = members()
    await confirmed(sandbox)
    shown = await sandbox.person("Maya").slash(sandbox.channel("moderators"), "notify show", broadcast="1")
    await sandbox.submit(shown)
    card = sandbox.review_card()
    assert "maya, omar." in readable(card)
    assert "Approvals 0 of 2" in readable(card)
    for name in ("Omar", "Maya"):
        got = await press(sandbox, card, "Download the list", name)
        assert await rows_of(got) == [["user_id", "username"], ["user_maya", "maya"], ["user_omar", "omar"]]
    refused = await press(sandbox, card, "Download the list", "Ada")
    assert "it takes its author or the role" in readable(refused)
    lines = [(one.actor.name, one.detail) for one in record(sandbox) if one.action == "download_list"]
    assert lines == [("Omar", "2 people of its list"), ("Maya", "2 people of its list")]
    # A large audience's name is typed.
    wrong = await sandbox.press("Omar", "Approve", audience="vips")
    assert "type its name, “List: vips.csv”" in plain(response(wrong))


@ONCE
async def test_a_long_list_is_looked_for_among_the_members_and_only_whoever_is_missing_is_asked_about(
    sandbox: Sandbox,
) -> None:
    sandbox.whop.people = members(300)
    rows = [f"user_{number:06}" for number in range(250)] + ["user_maya", "silva", "nobody"]
    await compose(sandbox, "\n".join(rows))
    await sandbox.settle()
    card = await show(sandbox)
    assert "Use these 251" in button_labels(card)
    assert {row[1] for row in (await rows_of(card))[1:]} == {"silva", "nobody"}
    asked = [one.url for one in sandbox.whop.reads if "/users/" in one.url]
    assert len(asked) == 3, asked


@ONCE
async def test_a_list_that_cannot_be_read_costs_no_word_and_another_one_can_be_given(
    sandbox: Sandbox,
) -> None:
    sandbox.whop.people = members()
    draft = response(await compose(sandbox, b"PK\x03\x04 and more", subject="Kept"))
    said = readable(draft)
    assert "is a spreadsheet file: save it as CSV" in said
    assert "The words are kept" in said
    assert "Kept" in said
    maya = sandbox.person("Maya")
    form = await maya.click(draft, label="Give its list…")
    neither = await maya.submit_modal(form, {})
    assert "Attach a file, or paste user ids or usernames: one of the two." in answer(neither)
    form = await maya.click(draft, label="Give its list…")
    given = await maya.submit_modal(form, {"people": "maya, omar\nexp_gold"})
    assert "“pasted”" in plain(response(given))
    await sandbox.settle()
    card = await show(sandbox)
    assert {"Use these 2", "Another list…"} <= set(button_labels(card))
    form = await maya.click(card, label="Another list…")
    await maya.submit_modal(form, {"file": [("more.csv", b"user_maya\n")]})
    await sandbox.settle()
    card = await show(sandbox)
    assert "Use these 1" in button_labels(card)
    assert broadcast(sandbox).audience == "List: more.csv"
    refused = [one.detail for one in record(sandbox) if one.action == "refused give_list"]
    assert [one[:20] for one in refused] == ["“vips.csv” is a spre", "Attach a file, or pa"]


@ONCE
async def test_what_is_too_large_or_goes_to_an_audience_too_is_refused_before_a_word_is_typed(
    sandbox: Sandbox,
) -> None:
    refused = await compose(sandbox, b"x" * (3 * 1024 * 1024))
    assert refused.modal is None
    assert "has 3.0 MB, and a list has at most 2 MB" in answer(refused)
    maya, channel = sandbox.person("Maya"), sandbox.channel("moderators")
    options = {"audience": "Gold members", "topic": "announcements", "list": ("vips.csv", b"maya")}
    both = await maya.slash(channel, "notify compose", **options)
    assert both.modal is None
    assert "It goes to an audience or to a list, not to both" in answer(both)
    offered = await maya.autocomplete(channel, "notify compose", "audience", "")
    own = only([one for one in offered if one["value"] == OWN])
    assert own["name"] == f"{OWN_LABEL} · up to 20,000 people · 2 approvals, name typed"
    others = await sandbox.person("Omar").autocomplete(channel, "notify compose", "audience", "")
    assert OWN not in [one["value"] for one in others]
    forbidden = await sandbox.person("Omar").slash(
        channel, "notify compose", audience=OWN, topic="announcements"
    )
    assert "You cannot bring a list of people along: it takes the role" in answer(forbidden)


@ONCE
async def test_a_check_goes_on_after_a_restart_and_after_trouble_at_whop(sandbox: Sandbox) -> None:
    sandbox.whop.people = members()
    sandbox.whop.fail_reads(ReadFault.SERVER_ERROR, times=3)
    await compose(sandbox)
    await sandbox.settle()
    assert "Look again" in button_labels(await show(sandbox))
    await sandbox.restart()
    for _ in range(4):
        await sandbox.wait(timedelta(minutes=3))
    assert "Use these 2" in button_labels(await show(sandbox))


@ONCE
async def test_answers_about_a_list_that_was_exchanged_meanwhile_say_nothing_of_the_new_one(
    sandbox: Sandbox,
) -> None:
    sandbox.whop.people = members()
    await compose(sandbox, "maya")
    lifecycle, clock = sandbox.herald.service.lifecycle, sandbox.clock
    checks = ListChecks(lifecycle=lifecycle, clock=clock)
    with sandbox.herald.store.begin() as tx:
        old = checks.claim(tx, ACCOUNT, room=9)
    assert old is not None
    draft, maya = broadcast(sandbox), sandbox.actor("Maya")
    await sandbox.herald.service.give_list(maya, 1, revision=draft.revision, name="other.csv", content="omar")
    with sandbox.herald.store.begin() as tx:
        assert checks.claim(tx, ACCOUNT, room=9) is not None
    answer_of_old = Response(status=200, headers={}, body='{"id": "user_maya", "username": "maya"}')
    with pytest.raises(Conflict), sandbox.herald.store.begin() as tx:
        checks.record(tx, old, [answer_of_old])
    with sandbox.herald.store.begin(Access.READ) as tx:
        assert tx.lists.people(1) == []


@ONCE
async def test_a_row_that_whop_cannot_read_gives_no_other_row_back(sandbox: Sandbox) -> None:
    sandbox.whop.people = members()
    await compose(sandbox, "odd\nomar")
    checks = ListChecks(lifecycle=sandbox.herald.service.lifecycle, clock=sandbox.clock)
    with sandbox.herald.store.begin() as tx:
        check = checks.claim(tx, ACCOUNT, room=1)
        assert check is not None
        checks.record(tx, check, [Response(status=400, headers={}, body='{"message": "No such form"}')])
        kept = tx.lists.find(1)
    assert kept is not None
    assert (kept.out, kept.waiting) == (1, 1)


def test_whoever_whop_speaks_of_instead_is_not_who_was_meant() -> None:
    reads, row = gateway_for("v1", origin="https://sandbox-api.whop.com").reads, ListRow(0, 1, "user_maya")
    other = Response(status=200, headers={}, body='{"id": "user_eve", "username": "user_maya"}')
    now = datetime(2026, 11, 1, tzinfo=UTC)
    judged = judge(reads, row, other, experience=None, now=now)
    assert isinstance(judged, Judged)
    assert (judged.state, judged.member) == (RowState.OUT, None)
    engine = create_engine("sqlite://", poolclass=NullPool)
    with engine.begin() as connection:
        metadata.create_all(connection)
        kept = OwnLists(connection)
        kept.give(1, read_pasted("user_maya Omar"), account="whop", experience="exp_gold", at=now)
        kept.welcome(1, [Named("user_eve", "user_maya"), Named("user_omar", "omar")])
        assert kept.people(1) == [Named("user_omar", "omar")]


@ONCE
async def test_where_whop_lets_nobody_be_asked_about_every_row_is_given_back_with_the_reason(
    sandbox: Sandbox,
) -> None:
    sandbox.whop.people = members()
    sandbox.whop.fail_reads(ReadFault.FORBIDDEN, times=99)
    await compose(sandbox, "\n".join(f"user_{number:06}" for number in range(60)))
    await sandbox.settle()
    card = await show(sandbox)
    assert "Nobody of" in readable(card)
    reasons = [row[2] for row in (await rows_of(card))[1:]]
    assert len(reasons) == 60
    assert all("does not let this key read" in one for one in reasons)
    # One step was enough to know.
    assert len(sandbox.whop.reads) <= 20


@ONCE
async def test_a_list_is_given_anew_for_the_same_words_kept_for_a_correction_and_never_repeated(
    sandbox: Sandbox,
) -> None:
    sandbox.whop.people = members()
    await confirmed(sandbox)
    await approved(sandbox)
    await sandbox.wait(UNDONE)
    service, maya = sandbox.herald.service, sandbox.actor("Maya")
    sent = broadcast(sandbox)
    again = await service.reuse(maya, 1, revision=sent.revision, channel_id=sent.origin_channel_id)
    assert again.listed is not None
    assert again.listed.people == 0
    words = sent.notification.model_copy(update={"link": "/news"})
    correction = await service.correct(
        maya, 1, revision=sent.revision, notification=words, channel_id=sent.origin_channel_id
    )
    assert correction.listed == sent.listed
    given = await service.list_of(correction)
    assert given is not None
    assert [one.user_id for one in given.first] == ["user_maya", "user_omar"]


@ONCE
async def test_a_correction_reaches_those_who_got_what_was_wrong_and_no_other_list(sandbox: Sandbox) -> None:
    sandbox.whop.people = members()
    await confirmed(sandbox)
    await approved(sandbox)
    await sandbox.wait(UNDONE)
    service, maya, sent = sandbox.herald.service, sandbox.actor("Maya"), broadcast(sandbox)
    draft = await service.correct(
        maya, 1, revision=sent.revision, notification=sent.notification, channel_id=sent.origin_channel_id
    )
    with pytest.raises(NotReady, match="It is a correction, which reaches those whom #1 went to"):
        await service.give_list(
            maya, draft.id, revision=draft.revision, name="others.csv", content="user_silva"
        )


@ONCE
async def test_a_list_is_for_one_time_and_no_series(sandbox: Sandbox) -> None:
    sandbox.whop.people = members()
    await compose(sandbox, "maya", time="tomorrow 9am")
    await sandbox.settle()
    draft, maya = broadcast(sandbox), sandbox.actor("Maya")
    with pytest.raises(NotReady, match="A list is for one time"):
        await sandbox.herald.service.repeat(
            maya, 1, revision=draft.revision, every=Every.WEEK, ends=Ends(times=3)
        )


@ONCE
async def test_what_is_no_longer_who_was_confirmed_is_held_and_another_audience_drops_the_list(
    sandbox: Sandbox,
) -> None:
    sandbox.whop.people = members()
    await confirmed(sandbox)
    await approved(sandbox)
    with sandbox.herald.store.begin() as tx:
        connection = tx._connection  # pyright: ignore[reportPrivateUsage]
        connection.exec_driver_sql("DELETE FROM list_rows WHERE user_id = 'user_omar'")
    await sandbox.wait(UNDONE)
    held = broadcast(sandbox)
    assert (held.status, held.reason) == (Status.HELD, NOT_THESE)
    assert not sandbox.whop.exchanges
    service, maya = sandbox.herald.service, sandbox.actor("Maya")
    draft = await service.take_back(maya, 1, revision=held.revision)
    other = await service.change_audience(maya, 1, revision=draft.revision, audience="Gold members")
    assert (other.audience, other.listed, await service.list_of(other)) == ("Gold members", None, None)
    with sandbox.herald.store.begin(Access.READ) as tx:
        assert tx.lists.find(1) is None


@ONCE
async def test_who_they_were_is_dropped_after_the_policys_time_and_how_many_stays(sandbox: Sandbox) -> None:
    sandbox.whop.people = members()
    await confirmed(sandbox)
    await approved(sandbox)
    await sandbox.wait(UNDONE)
    await sandbox.wait(timedelta(days=29))
    assert "Download the list" in button_labels(await show(sandbox))
    await sandbox.wait(timedelta(days=2))
    # As it does by itself from time to time.
    await sandbox.herald.dispatcher._counting.finish()  # pyright: ignore[reportPrivateUsage]
    with sandbox.herald.store.begin(Access.READ) as tx:
        assert {one.request.body for one in tx.deliveries.of(1)} == {b""}
    card = await show(sandbox)
    assert "2 people of Maya's list “vips.csv”. Who they are is no longer kept." in plain(card)
    assert "Download the list" not in button_labels(card)
    sent, maya = broadcast(sandbox), sandbox.actor("Maya")
    with pytest.raises(NotReady, match="are no longer kept"):
        await sandbox.herald.service.download_list(maya, 1, revision=sent.revision)
    with pytest.raises(NotReady, match="are no longer kept"):
        await sandbox.herald.service.correct(
            maya,
            1,
            revision=sent.revision,
            notification=sent.notification,
            channel_id=sent.origin_channel_id,
        )


@pytest.mark.parametrize(
    ("text", "generation", "said"),
    [
        (
            server(audience("List: friends", "exp_gold")),
            "v1",
            "name: what begins with “List:” are lists that",
        ),
        (
            server('[server.lists]\nexperience = "exp_gold"\n', ONE),
            "v1",
            "lists: nobody may bring a list along: name those who may in roles.lists, or remove the table",
        ),
        (server(ONE, roles={**ROLES, "lists": COMPOSE + 9}), "v1", "lists.experience: it is missing: v1"),
        (
            server(
                '[server.lists]\nexperience = "exp_gold"\n',
                audience("One", "prod_gold"),
                roles={**ROLES, "lists": COMPOSE + 9},
            ),
            "v5",
            "lists.experience: v5 reaches people wherever they are: remove the line",
        ),
    ],
)
def test_a_policy_by_which_no_list_could_be_reached_is_refused_at_the_start(
    text: str, generation: str, said: str
) -> None:
    gateway = gateway_for(generation, origin="https://sandbox-api.whop.com")
    with pytest.raises(ConfigurationError) as refused:
        check_policy(parsed(text), {ACCOUNT: gateway}, file="herald.toml")
    assert said in str(refused.value)


def test_a_list_needs_as_many_approvals_as_the_strictest_large_audience() -> None:
    more = [audience("All", "exp_gold", size=9000, more="approvals = 3\n"), audience("Few", "exp_few")]
    policy = parsed(server(*more, roles={**ROLES, "lists": COMPOSE + 9}))
    found = policy.servers[0].audience_of_list("List: vips", Listed(name="vips", people=2, digest="d"))
    assert found is not None
    assert (found.approvals, found.bound()) == (3, 2)


async def test_whoever_may_bring_no_list_along_any_more_goes_on_with_none(
    sqlite_url: str, tmp_path: Path
) -> None:
    lists, inside = COMPOSE + 9, '[server.lists]\nexperience = "exp_gold"\n'
    policy = parsed(server(inside, ONE, roles={**ROLES, "lists": lists}))
    author = replace(MAYA, roles=MAYA.roles | {lists})
    async with Cluster.open(sqlite_url, tmp_path) as cluster:
        process = await cluster.join(policy=policy)
        draft = await process.service.compose(
            author, audience=OWN, notification=WRITTEN, channel_id=CHANNEL, list_name="vips.csv"
        )
    assert decide(policy, author, Action.SUBMIT, draft, at=draft.created_at) is None
    # As it is asked of its author at the start, too.
    said = decide(policy, MAYA, Action.SUBMIT, draft, at=draft.created_at)
    assert said is not None
    assert f"“List: vips.csv” takes the role <@&{lists}> as well." in said


@examples(30)
@given(
    st.lists(st.sampled_from(["user_1", "user_2", "one", "ONE", "two", "ghost"]), min_size=1, max_size=9),
    st.integers(1, 4),
)
def test_each_row_ends_once_and_nobody_is_reached_twice(typed: list[str], at_once: int) -> None:
    known = {"user_1": "one", "user_2": "two"}
    ids = {name: user for user, name in known.items()}
    engine = create_engine("sqlite://", poolclass=NullPool)
    with engine.begin() as connection:
        metadata.create_all(connection)
        kept, at, own = OwnLists(connection), datetime(2026, 11, 1, tzinfo=UTC), read_pasted(" ".join(typed))
        kept.give(1, own, account="whop", experience=None, at=at)
        while check := kept.claim("whop", at, limit=at_once):
            for row in check.rows:
                user = row.typed if row.typed in known else ids.get(row.typed.lower(), "")
                judged = Judged(RowState.GOOD, Named(user, known[user])) if user else Judged(RowState.OUT)
                kept.judge(1, row, judged)
            kept.go_on(check, at=at, ends=not kept.is_waiting(1))
        found, reached = kept.find(1), [one.user_id for one in kept.people(1)]
    assert found is not None
    assert found.is_checked
    assert found.good + found.out + found.repeats == len(typed)
    assert sorted(reached) == sorted(
        {one if one in known else ids[one.lower()] for one in typed if one != "ghost"}
    )
