"""Nobody gets something too often: cool-downs and daily caps hold at every step, or one more agrees."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Final

import discord
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import update

from bot.broadcast import Broadcast, Status
from bot.errors import ConfigurationError, NotReady
from bot.frequency import Limit, Push, free_from
from bot.notification import Notification, Text
from bot.permissions import Actor
from bot.policy.loading import parse_policy
from bot.preflight import check_discord
from bot.sandbox.sandbox import UNDONE, Sandbox, answer, button_labels, readable, response
from bot.sandbox.whop import Fault
from bot.schedule import Schedule
from bot.series import Ends, Every
from bot.store.tables import broadcasts
from bot.zones import local_time
from cogs.lately import LATELY
from tests.conftest import ONCE, OpenSandbox
from tests.harness.found import last, only
from tests.harness.links import unlinked
from tests.harness.people import CHANNEL, LENA, MAYA, NOOR, OMAR
from tests.harness.policy import COMPOSE, GUILD, ONE, TWO, audience, of_generation, parsed, rules, server
from tests.harness.process import Cluster, Process
from tests.properties import examples
from tests.test_lending import CHAT
from tests.test_templates import approve, use

SECOND: Final = timedelta(seconds=1)
MINUTE: Final = timedelta(minutes=1)
HOUR: Final = timedelta(hours=1)
DAY: Final = timedelta(days=1)
# The undo window of the policy of these tests.
UNDO: Final = timedelta(seconds=10)
NOW: Final = datetime(2026, 11, 23, 9, 41, tzinfo=UTC)
BERLIN: Final = "Europe/Berlin"


# --- pure ------------------------------------------------------------------------------------------

# Around the hours that clocks are set in Berlin, and the midnight that they leave out in Cairo.
MOMENTS: Final = st.one_of(
    st.integers(0, 3 * 24 * 60).map(lambda minutes: datetime(2026, 10, 24, tzinfo=UTC) + minutes * MINUTE),
    st.integers(0, 3 * 24 * 60).map(lambda minutes: datetime(2026, 4, 23, tzinfo=UTC) + minutes * MINUTE),
)
LIMITS: Final = st.builds(
    Limit,
    st.integers(0, 30 * 60).map(lambda minutes: minutes * MINUTE),
    st.none() | st.integers(1, 4),
    st.sampled_from(["refuse", "approval"]),
    st.sampled_from(["UTC", BERLIN, "Africa/Cairo", "Pacific/Apia"]),
)


def is_too_many(limit: Limit, pushes: Sequence[datetime], at: datetime) -> bool:
    """Say it once more, and otherwise: of all of them together, the new one among them."""
    together = sorted([*pushes, at])
    gaps = [later - earlier for earlier, later in pairwise(together) if at in {earlier, later}]
    days = [local_time(one, limit.zone).date() for one in together]
    on_that_day = days.count(local_time(at, limit.zone).date())
    is_too_close = any(gap < limit.cool_down for gap in gaps)
    return is_too_close or (limit.daily_cap is not None and on_that_day > limit.daily_cap)


@given(limit=LIMITS, moments=st.lists(MOMENTS, max_size=6), at=MOMENTS)
@examples(200)
def test_one_more_is_too_many_exactly_when_it_is_too_close_or_the_days_cap_is_reached(
    limit: Limit, moments: list[datetime], at: datetime
) -> None:
    pushes = [Push(number, one) for number, one in enumerate(moments, start=1)]
    found = limit.overrun(pushes, at)
    assert (found is not None) == is_too_many(limit, moments, at)
    if found is not None:
        assert found.until > at


@given(limit=LIMITS, moments=st.lists(MOMENTS, max_size=6), at=MOMENTS)
@examples(100)
def test_the_moment_that_is_named_is_the_first_that_is_not_too_often(
    limit: Limit, moments: list[datetime], at: datetime
) -> None:
    pushes = [Push(number, one) for number, one in enumerate(moments, start=1)]
    free = free_from([(limit, pushes)], at)
    assert not is_too_many(limit, moments, free)
    minutes = int((free - at) / MINUTE)
    for sooner in {0, minutes // 3, minutes // 2, minutes - 1} - {minutes, -1}:
        assert is_too_many(limit, moments, at + sooner * MINUTE)


def test_the_limits_are_exact_to_the_second_and_the_day_is_the_audiences_own() -> None:
    begun = Push(1, NOW)
    cool = Limit(HOUR, None, "refuse", "UTC")
    assert cool.overrun([begun], NOW + HOUR - SECOND) is not None
    assert cool.overrun([begun], NOW + HOUR) is None
    assert cool.overrun([begun], NOW - HOUR + SECOND) is not None
    assert cool.overrun([begun], NOW - HOUR) is None
    # 23:30 UTC is half past midnight in Berlin, on the next day.
    late = datetime(2026, 11, 23, 23, 30, tzinfo=UTC)
    for zone, same_day in ((BERLIN, True), ("UTC", False)):
        once = Limit(timedelta(), 1, "refuse", zone)
        assert (once.overrun([Push(1, late)], late + 2 * HOUR) is not None) is same_day
        assert (once.overrun([Push(1, NOW)], late) is not None) is not same_day
    # Two a day, and no more; the second alone is not one too many.
    twice = Limit(timedelta(), 2, "refuse", "UTC")
    assert twice.overrun([begun], NOW) is None
    assert twice.overrun([begun, Push(2, NOW)], NOW) is not None


# --- what a policy says ----------------------------------------------------------------------------


def test_an_audience_has_its_own_limits_or_those_of_the_rules() -> None:
    more = 'cool_down = "2h"\ndaily_cap = 3\nbeyond = "approval"\ntime_zone = "Europe/Berlin"\n'
    policy = parsed(
        server(
            ONE,
            audience("Own", "exp_1", more='cool_down = "0s"\ndaily_cap = "none"\ntime_zone = "Asia/Tokyo"\n'),
            audience("Other", "exp_2", more='daily_cap = 1\nbeyond = "refuse"\n'),
            rules=rules(more=more),
        )
    ).servers[0]
    assert policy.limit_of("One") == Limit(2 * HOUR, 3, "approval", BERLIN)
    assert policy.limit_of("Own") == Limit(timedelta(), None, "approval", "Asia/Tokyo")
    assert policy.limit_of("Own").is_none
    assert policy.limit_of("Other") == Limit(2 * HOUR, 1, "refuse", BERLIN)
    # Without a line nothing is limited.
    assert parsed().servers[0].limit_of("One").is_none


CAP: Final = 'write a whole number from 1 to 1000, without quotes, or "none"'
SERVER: Final = "herald.toml: server “Sunrise Trading”"


@pytest.mark.parametrize(
    ("rules_more", "audience_more", "cap", "sentence"),
    [
        ('cool_down = "31d"\n', "", "", ': rules.cool_down: write a duration from "0s" to "30d"'),
        ("daily_cap = 0\n", "", "", f": rules.daily_cap: {CAP}"),
        ('daily_cap = "never"\n', "", "", f": rules.daily_cap: {CAP}"),
        ("daily_cap = true\n", "", "", f": rules.daily_cap: {CAP}"),
        ('beyond = "shift"\n', "", "", ': rules.beyond: write "refuse" or "approval", in quotes'),
        ("", "daily_cap = 1001\n", "", f", audience “One”: daily_cap: {CAP}"),
        (
            "",
            'beyond = "refuse"\n',
            "",
            ": audience “One”: beyond: nothing limits how often it gets",
        ),
        ("", "", "daily_cap = 2", ": cap.1.role: it is missing: add it"),
        ("", "", "role = 104900000000000031", ": cap.1: it limits nothing: write cool_down or daily_cap too"),
        ("", "", f"role = {GUILD}\ndaily_cap = 2", f": cap 1: role: {GUILD} is the server itself"),
        ("", "", "role = 104900000000000031\ndaily_caps = 2", "did you mean daily_cap?"),
    ],
)
def test_a_mistake_in_a_limit_gets_one_sentence(
    rules_more: str, audience_more: str, cap: str, sentence: str
) -> None:
    one = audience("One", "exp_gold", more=audience_more)
    table = f"[[server.cap]]\n{cap}\n" if cap else ""
    with pytest.raises(ConfigurationError) as wrong:
        parsed(server(one, table, rules=rules(more=rules_more)))
    assert sentence in str(wrong.value)
    assert str(wrong.value).startswith(SERVER)


# --- step by step ----------------------------------------------------------------------------------


def limited(more: str, *audiences: str, caps: str = "", approvals: int = 1) -> str:
    return server(*(audiences or (ONE, TWO)), caps, rules=rules(approvals, more=more))


Open = Callable[..., "Process"]


@pytest.fixture
async def cluster(setting: tuple[str, str], tmp_path: Path) -> AsyncGenerator[Cluster]:
    generation, url = setting
    async with Cluster.open(url, tmp_path, generation=generation) as opened:
        yield opened


async def opened(cluster: Cluster, more: str, *audiences: str, caps: str = "", approvals: int = 1) -> Process:
    text = of_generation(limited(more, *audiences, caps=caps, approvals=approvals), cluster.generation)
    return await cluster.join(policy=parsed(text))


def saying(words: str) -> Notification:
    return Notification(topic="news", all=Text(subject=words, content=words))


async def drafted(
    process: Process, words: str, audience: str = "One", *, author: Actor = MAYA, at: datetime | None = None
) -> Broadcast:
    schedule = Schedule(typed="then", zone="UTC").settled(at) if at else None
    return await process.service.compose(
        author, audience=audience, notification=saying(words), channel_id=CHANNEL, schedule=schedule
    )


async def asked(
    process: Process, words: str, audience: str = "One", *, author: Actor = MAYA, at: datetime | None = None
) -> Broadcast:
    draft = await drafted(process, words, audience, author=author, at=at)
    return await process.service.submit(author, draft.id, revision=1)


async def agreed(process: Process, one: Broadcast, *who: Actor) -> Broadcast:
    for actor in who or (OMAR,):
        one = await process.service.approve(actor, one.id, revision=one.revision)
    return one


async def sent(
    process: Process, words: str, audience: str = "One", *, author: Actor = MAYA, who: Actor = OMAR
) -> Broadcast:
    """Let it go out at once; return it as it stands then."""
    one = await agreed(process, await asked(process, words, audience, author=author), who)
    await process.tick(UNDO)
    assert (await process.get(one.id)).status is Status.SENT
    return one


async def test_within_the_cool_down_nothing_is_asked_for_approved_or_sent(cluster: Cluster) -> None:
    process = await opened(cluster, 'cool_down = "1h"\n')
    waiting = await asked(process, "waiting")
    await sent(process, "first")
    began = process.clock()
    draft = await drafted(process, "second")
    process.clock.advance(20 * MINUTE)
    said = "“One” got #2 20 minutes ago, and 60 minutes have to lie between two"
    # What is refused names the moment from which on it is not.
    free = "from Mon 23 Nov 2026 10:41 UTC on"
    with pytest.raises(NotReady) as refused:
        await process.service.submit(MAYA, draft.id, revision=1)
    assert str(refused.value).startswith(f"{said}: give it a time, or ask for approval {free}"), refused.value
    with pytest.raises(NotReady) as refused:
        await agreed(process, waiting)
    assert str(refused.value).startswith(f"{said}: approve it {free}, or its author has to withdraw it")
    # Its undo window ends as the cool-down does.
    process.clock.advance(began + HOUR - UNDO - process.clock())
    await agreed(process, waiting)
    await process.tick(UNDO)
    assert await process.status(waiting.id) is Status.SENT


async def test_of_two_that_are_approved_for_one_moment_the_second_is_held_and_never_sent(
    cluster: Cluster,
) -> None:
    process = await opened(cluster, "")
    pair = [await agreed(process, await asked(process, words)) for words in ("first", "second")]
    # The policy asks for more as they start than it did when they were approved.
    other = await opened(cluster, 'cool_down = "1h"\n')
    await other.tick(UNDO)
    assert [await other.status(one.id) for one in pair] == [Status.SENT, Status.HELD]
    held = await other.get(pair[1].id)
    assert held.reason == (
        "it would go out too often: “One” got #1 0 seconds ago, and 60 minutes have to lie between two"
    )
    assert len(cluster.deliveries_seen()) == 1
    with pytest.raises(NotReady, match="have to lie between two"):
        await other.service.release(LENA, held.id, revision=1)
    await other.tick(HOUR)
    assert await other.status(held.id) is Status.HELD
    released = await other.service.release(LENA, held.id, revision=1)
    await agreed(other, released)
    await other.tick(UNDO)
    assert await other.status(held.id) is Status.SENT


@ONCE
async def test_what_is_approved_counts_before_it_has_gone_out(cluster: Cluster) -> None:
    process = await opened(cluster, 'cool_down = "1h"\n')
    at = process.clock() + 5 * HOUR
    await agreed(process, await asked(process, "at three", at=at))
    for apart in (-59 * MINUTE, 59 * MINUTE):
        with pytest.raises(
            NotReady, match=r"“One” gets #1 in 5 hours, and 60 minutes have to lie between two: give"
        ):
            await asked(process, f"near {apart}", at=at + apart)
    for apart in (-60 * MINUTE, 60 * MINUTE):
        await asked(process, f"far {apart}", at=at + apart)


async def test_a_days_cap_is_the_audiences_own_day_and_ends_at_its_midnight(cluster: Cluster) -> None:
    own = audience("One", "exp_gold", more='time_zone = "Asia/Tokyo"\n')
    process = await opened(cluster, "daily_cap = 2\n", own)
    for words in ("first", "second"):
        await sent(process, words)
        process.clock.advance(HOUR)
    third = await drafted(process, "third")
    with pytest.raises(NotReady) as refused:
        await process.service.submit(MAYA, third.id, revision=1)
    assert "“One” got 2 today (#2 and #1), and the policy allows 2 a day" in str(refused.value)
    assert "from Tue 24 Nov 2026 00:00 JST (Asia/Tokyo) on" in str(refused.value)
    # It is still Monday in London when Tuesday begins in Tokyo.
    process.clock.advance(datetime(2026, 11, 23, 15, 0, tzinfo=UTC) - UNDO - process.clock())
    await process.service.submit(MAYA, third.id, revision=1)
    await agreed(process, await process.get(third.id))
    await process.tick(UNDO)
    assert await process.status(third.id) is Status.SENT


async def test_beyond_it_one_more_person_agrees_where_the_policy_says_so(cluster: Cluster) -> None:
    process = await opened(cluster, 'cool_down = "1h"\nbeyond = "approval"\n')
    quick = await agreed(process, await asked(process, "quick"))
    await process.tick(UNDO)
    beyond = await asked(process, "beyond")
    assert beyond.too_often
    assert [one for one in await process.lines("too often") if "it needs one approval more" in one]
    beyond = await agreed(process, beyond, OMAR)
    assert beyond.status is Status.REVIEW
    await agreed(process, beyond, LENA)
    await process.tick(UNDO)
    assert [await process.status(one.id) for one in (quick, beyond)] == [Status.SENT, Status.SENT]


async def test_what_became_too_often_since_it_was_asked_for_needs_to_be_asked_for_again(
    cluster: Cluster,
) -> None:
    process = await opened(cluster, 'cool_down = "1h"\nbeyond = "approval"\n')
    waiting = await asked(process, "waiting")
    assert not waiting.too_often
    await sent(process, "other")
    with pytest.raises(NotReady, match="ask for approval again, which takes one approval more"):
        await agreed(process, waiting)
    await process.service.withdraw(MAYA, waiting.id, revision=1)
    again = await process.service.submit(MAYA, waiting.id, revision=1)
    assert again.too_often
    # What was agreed to is not asked about once more, whatever goes out meanwhile.
    await agreed(process, again, OMAR, LENA)
    await process.tick(UNDO)
    assert await process.status(again.id) is Status.SENT


async def test_audiences_that_share_people_count_together_and_others_do_not(cluster: Cluster) -> None:
    alone = audience("Alone", "exp_bronze")
    process = await opened(cluster, 'cool_down = "1h"\n', ONE, TWO, alone)
    await sent(process, "for both", "Two")
    with pytest.raises(NotReady, match="“One” got #1"):
        await asked(process, "for one", "One")
    await sent(process, "for others", "Alone")


@ONCE
async def test_what_nobody_got_does_not_count_and_what_may_have_arrived_does(cluster: Cluster) -> None:
    process = await opened(cluster, 'cool_down = "1h"\n')
    stopped = await agreed(process, await asked(process, "stopped"))
    await process.service.stop(OMAR, stopped.id, revision=1)
    rejected = await asked(process, "rejected")
    await process.service.reject(LENA, rejected.id, revision=1, reason="no")
    cluster.whop.fail_next(Fault.DROP_AFTER_ACCEPT)
    unknown = await agreed(process, await asked(process, "unknown"))
    await process.tick(UNDO)
    assert await process.status(unknown.id) is Status.UNKNOWN
    with pytest.raises(NotReady, match=f"“One” got #{unknown.id}"):
        await asked(process, "next")
    # Somebody looked: nobody got it.
    await process.service.deny(LENA, unknown.id, revision=1, reason="it is not there")
    await sent(process, "next one")


async def test_a_correction_is_never_kept_waiting_by_what_it_corrects(cluster: Cluster) -> None:
    process = await opened(cluster, 'cool_down = "1h"\ndaily_cap = 1\n')
    wrong = await sent(process, "at noon")
    right = await process.service.correct(
        NOOR, wrong.id, revision=1, notification=saying("at nine"), channel_id=CHANNEL
    )
    right = await process.service.submit(NOOR, right.id, revision=right.revision)
    assert not right.too_often
    await agreed(process, right, OMAR)
    await process.tick(UNDO)
    assert await process.status(right.id) is Status.SENT
    # Beside others it needs one more, where anything else would be refused.
    process.clock.advance(2 * DAY)
    wrong, other = await sent(process, "at ten"), None
    process.clock.advance(2 * HOUR)
    with pytest.raises(NotReady):
        other = await asked(process, "something else")
    assert other is None
    first = await process.get(wrong.id)
    process.clock.advance(DAY)
    await sent(process, "something else again")
    right = await process.service.correct(
        NOOR, first.id, revision=1, notification=saying("at eleven"), channel_id=CHANNEL
    )
    right = await process.service.submit(NOOR, right.id, revision=right.revision)
    assert right.too_often
    await agreed(process, right, OMAR, LENA)
    await process.tick(UNDO)
    assert await process.status(right.id) is Status.SENT


async def test_a_role_limits_what_each_of_its_holders_composes_whomever_it_is_for(cluster: Cluster) -> None:
    caps = f"[[server.cap]]\nrole = {COMPOSE}\ndaily_cap = 1\n"
    process = await opened(cluster, "", ONE, audience("Other", "exp_bronze"), caps=caps)
    await sent(process, "first of hers")
    draft = await drafted(process, "second of hers", "Other")
    with pytest.raises(NotReady, match=r"Maya sent 1 today \(#1\), and the policy allows 1 a day"):
        await process.service.submit(MAYA, draft.id, revision=1)
    # Each of them by themselves.
    await sent(process, "his", author=OMAR, who=LENA)
    await process.tick(DAY)
    await process.service.submit(MAYA, draft.id, revision=1)


@ONCE
async def test_whoever_got_such_a_role_since_is_held_when_it_starts(cluster: Cluster) -> None:
    intern = 104900000000000031
    caps = f'[[server.cap]]\nrole = {intern}\ncool_down = "1h"\nbeyond = "refuse"\n'
    process = await opened(cluster, 'beyond = "approval"\n', caps=caps)
    await sent(process, "first")
    second = await agreed(process, await asked(process, "second"))
    cluster.members.roles[MAYA.id] = MAYA.roles | {intern}
    await process.tick(UNDO)
    held = await process.get(second.id)
    assert (held.status, held.reason[:50]) == (
        Status.HELD,
        "it would go out too often: Maya sent #1 10 seconds"[:50],
    )


@ONCE
async def test_one_of_a_series_that_is_too_often_waits_for_its_author(cluster: Cluster) -> None:
    process = await opened(cluster, "daily_cap = 1\n")
    at = process.clock() + 2 * DAY
    first = await drafted(process, "weekly", at=at)
    await process.service.repeat(MAYA, first.id, revision=1, every=Every.WEEK, ends=Ends(times=3))
    await process.service.submit(MAYA, first.id, revision=1)
    await agreed(process, first)
    await process.tick(2 * DAY)
    # Something else is approved for the day of the next.
    await process.tick(5 * DAY)
    other = await asked(process, "other", at=at + 7 * DAY - HOUR)
    await agreed(process, other)
    await process.tick(DAY)
    second = await process.get(other.id + 1)
    assert (second.series, second.status) == (first.id, Status.DRAFT)
    assert f"(#{other.id}), and the policy allows 1 a day: give it another time" in second.reason


async def test_two_processes_that_start_at_once_keep_to_the_limits_together(
    tmp_path: Path, postgres_url: str
) -> None:
    async with Cluster.open(postgres_url, tmp_path) as cluster:
        before = await opened(cluster, "")
        for number in range(4):
            await agreed(before, await asked(before, f"number {number}"))
        cluster.clock.advance(UNDO)
        pair = [await opened(cluster, 'cool_down = "1h"\n') for _ in range(2)]
        await asyncio.gather(*(one.tick() for one in pair))
        found = [await before.status(number) for number in range(1, 5)]
        assert sorted(found) == [Status.HELD] * 3 + [Status.SENT]
        assert len(cluster.deliveries_seen()) == 1


# --- what people see -------------------------------------------------------------------------------


def fields(message: discord.Message) -> dict[str, str]:
    shown = [one for embed in message.embeds for one in embed.fields]
    return {one.name or "": unlinked(one.value or "") for one in shown}


def cool(mode: str = "refuse") -> Callable[[str], str]:
    return lambda text: text.replace(
        "[server.rules]\n", f'[server.rules]\ncool_down = "1h"\nbeyond = "{mode}"\n'
    )


async def gone_out(sandbox: Sandbox, subject: str = "First") -> None:
    await sandbox.approved(subject=subject)
    await sandbox.wait(UNDONE)


async def test_drafts_and_cards_say_what_the_same_people_got_today(sandbox: Sandbox) -> None:
    await gone_out(sandbox)
    draft = await sandbox.compose(
        subject="Second", audience="Everyone" if sandbox.generation == "v1" else "Gold members"
    )
    name = "Everyone" if sandbox.generation == "v1" else "Gold members"
    for_others = " for **Gold members**" if sandbox.generation == "v1" else ""
    began = int((sandbox.clock() - UNDONE).timestamp())
    said = fields(response(draft))[LATELY]
    assert said.startswith(f"**{name}** got 1 today, the last <t:{began}"[:-2]), said
    assert said.endswith(f":R> (#1{for_others}).")
    await sandbox.submit(draft)
    said = fields(sandbox.review_card())[LATELY]
    assert said.startswith(f"**{name}** got 1 today (Thu 1 Jan), the last <t:"), said
    # What is sent is no longer decided about.
    await sandbox.wait(timedelta(days=2))
    assert LATELY not in fields(response(await sandbox.compose(subject="Third", audience=name)))


async def test_a_draft_says_from_when_on_it_can_be_asked_for_or_that_it_takes_one_more(
    open_sandbox: OpenSandbox,
) -> None:
    async with open_sandbox("v1", edit_policy=cool()) as sandbox:
        await gone_out(sandbox)
        draft = await sandbox.compose(subject="Second")
        assert "Ask for approval" not in button_labels(response(draft))
        lacks = fields(response(draft))["Before you can ask for approval"]
        assert (
            "have to lie between two: give it a time, or ask for approval from Thu 1 Jan 2026 01:00 UTC on"
            in lacks
        )


@ONCE
async def test_two_that_are_open_for_the_same_people_name_each_other(sandbox: Sandbox) -> None:
    await sandbox.restart(edit_policy=cool("approval"))
    await sandbox.submit(await sandbox.compose(subject="First", audience="Everyone"))
    first = sandbox.review_card()
    assert LATELY not in fields(first)
    await sandbox.submit(await sandbox.compose(subject="Second"))
    second = sandbox.review_card()
    assert fields(second)[LATELY] == (
        "Within 60 minutes of it, for the same people: #1 waits for approval for **Everyone**."
    )
    cards = {one.embeds[0].title: one for one in sandbox.channel("review").history() if one.embeds}
    assert "#2 waits for approval for **Gold members**" in fields(cards["#1 · Waits for approval"])[LATELY]
    await sandbox.press("Omar", "Approve")
    await sandbox.wait(UNDONE)
    cards = {one.embeds[0].title: one for one in sandbox.channel("review").history() if one.embeds}
    said = fields(cards["#1 · Waits for approval"])[LATELY]
    assert said.startswith("**Everyone** got 1 today (Thu 1 Jan), the last <t:")
    assert "Its last approval is refused before <t:" in said
    # A third takes one approval more, and says so before it is asked for.
    draft = await sandbox.compose(subject="Third")
    assert "so it needs **one approval more**" in fields(response(draft))[LATELY]
    form = await sandbox.person("Maya").click(response(draft), label="Ask for approval")
    assert "so it needs **one approval more**" in str(form.modal)
    assert "once 2 people of your team approved it" in str(form.modal)


@ONCE
async def test_a_template_for_emergencies_is_never_refused_and_people_look_at_it(sandbox: Sandbox) -> None:
    await sandbox.restart(edit_policy=cool())
    await approve(sandbox, "Omar")
    await gone_out(sandbox)
    draft = await use(sandbox, "Maya", CHAT)
    assert "Ask for approval" in button_labels(response(draft))
    assert "is under review" in answer(await sandbox.submit(draft))
    await sandbox.press("Lena", "Approve")
    await sandbox.wait(UNDONE)
    assert len(sandbox.whop.pushes) == 2
    assert "Accepted by Whop" in readable(sandbox.review_card())


@ONCE
async def test_a_test_to_one_person_is_no_push_of_their_audience(cluster: Cluster) -> None:
    process = await opened(cluster, 'cool_down = "1h"\n')
    one = await sent(process, "a test")
    with process.store.begin() as tx:
        tx._connection.execute(  # pyright: ignore[reportPrivateUsage]
            update(broadcasts).where(broadcasts.c.id == one.id).values(test_of=one.id)
        )
    await sent(process, "for all")


async def test_a_check_names_an_audience_that_too_few_could_approve_beyond_its_limits(v5: Sandbox) -> None:
    text = v5.settings.herald_config.read_text(encoding="utf-8")

    async def found(approvals: int, mode: str) -> list[str]:
        edited = cool(mode)(text).replace("approvals = 1\n", f"approvals = {approvals}\n")
        read = parse_policy(edited, name="herald.toml")
        return [one async for one in check_discord(read, v5.herald.client) if "“Gold members”" in one]

    assert await found(2, "refuse") == []
    assert "nobody could ever approve it beyond its limits: it needs 3 approval(s)" in only(
        await found(2, "approval")
    )
    with_cap = f"{text}\n[[server.cap]]\nrole = 104900000000000077\ndaily_cap = 1\n"
    read = parse_policy(with_cap, name="herald.toml")
    said = last([one async for one in check_discord(read, v5.herald.client)])
    assert "cap 1: role: there is no role 104900000000000077" in said
