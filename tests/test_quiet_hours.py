"""What would go out in quiet hours is refused, moved to their end, or agreed to by one more, or held."""

from collections.abc import AsyncGenerator, Callable
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.broadcast import Approval, Broadcast, Status
from bot.errors import ConfigurationError, NotReady
from bot.policy.loading import parse_policy
from bot.policy.model import Policy
from bot.preflight import check_discord
from bot.quiet import Hours, QuietHours
from bot.sandbox.discord import PEOPLE
from bot.sandbox.sandbox import Sandbox, answer, button_labels, readable, response
from bot.schedule import Meaning, Schedule
from bot.seal import of_broadcast
from bot.store import Access
from bot.zones import local_time
from cogs.cards import Cards
from tests.conftest import ONCE, OpenSandbox
from tests.harness.found import only
from tests.harness.people import CHANNEL, LENA, MAYA, OMAR, WORDS
from tests.harness.policy import ONE, TWO, audience, of_generation, parsed, rules, server
from tests.harness.process import Cluster, Process
from tests.properties import examples
from tests.test_zones import changes

BERLIN: Final = "Europe/Berlin"
SECOND: Final = timedelta(seconds=1)
MINUTE: Final = timedelta(minutes=1)
HOUR: Final = timedelta(hours=1)
UNDO: Final = timedelta(seconds=10)
NIGHT: Final = "22:00 to 08:00"


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


# Of a night in Berlin, whose clocks show an hour more.
EVENING, BEGIN, LATE, END = map(
    utc, ("2026-11-23 18:00", "2026-11-23 21:00", "2026-11-23 22:30", "2026-11-24 07:00")
)


def quiet(hours: str, zone: str = BERLIN) -> QuietHours:
    begin, end = map(time.fromisoformat, hours.split(" to "))
    return QuietHours("One", Hours(begin, end), zone, "refuse")


@pytest.mark.parametrize(
    ("hours", "at", "end"),
    [
        (NIGHT, "2026-11-24 20:59:59", None),
        (NIGHT, "2026-11-24 21:00", "2026-11-25 07:00"),
        (NIGHT, "2026-11-24 23:30", "2026-11-25 07:00"),
        (NIGHT, "2026-11-25 06:59:59", "2026-11-25 07:00"),
        (NIGHT, "2026-11-25 07:00", None),
        ("12:00 to 13:30", "2026-11-24 11:00", "2026-11-24 12:30"),
        ("12:00 to 13:30", "2026-11-24 12:30", None),
        ("00:00 to 08:00", "2026-11-24 23:00", "2026-11-25 07:00"),
        # Clocks go from 02:00 to 03:00, and never show half past two.
        ("22:00 to 02:30", "2026-03-29 00:30", "2026-03-29 01:00"),
        ("22:00 to 02:30", "2026-03-29 01:00", None),
        ("02:30 to 08:00", "2026-03-29 00:59", None),
        ("02:30 to 08:00", "2026-03-29 01:00", "2026-03-29 06:00"),
        # They go from 03:00 back to 02:00, and show half past two twice.
        ("22:00 to 02:30", "2026-10-25 00:45", "2026-10-25 01:30"),
        ("02:30 to 08:00", "2026-10-25 00:29", None),
        ("02:30 to 08:00", "2026-10-25 01:10", "2026-10-25 07:00"),
    ],
)
def test_a_night_begins_and_ends_by_the_clocks_of_its_audience(hours: str, at: str, end: str | None) -> None:
    assert quiet(hours).end_after(utc(at)) == (utc(end) if end else None)


TIMES: Final = st.times(min_value=time(0), max_value=time(23, 59)).map(
    lambda it: it.replace(second=0, microsecond=0)
)


@given(st.data())
@examples(60)
def test_whatever_clocks_show_when_they_are_set_no_quiet_minute_is_left_out(data: st.DataObject) -> None:
    zone, at = data.draw(st.sampled_from(changes()))
    near = local_time(at, zone) + MINUTE * data.draw(st.integers(-150, 150))
    begin, end = data.draw(st.sampled_from([(near.time(), time(12)), (time(12), near.time())]))
    if data.draw(st.booleans()):
        begin, end = data.draw(TIMES), data.draw(TIMES)
    if begin == end:
        return
    hours = QuietHours("One", Hours(begin, end), zone, "refuse")
    first = at - timedelta(hours=3)
    ends = {minute: hours.end_after(first + MINUTE * minute) for minute in range(360)}
    shown = {minute: local_time(first + MINUTE * minute, zone).time() for minute in ends}
    for minute, found in ends.items():
        inside = begin <= shown[minute] < end if begin < end else not end <= shown[minute] < begin
        assert found is not None or not inside
        if found is not None:
            assert found > first + MINUTE * minute
            assert hours.end_after(found) is None
            until = (found - first) // MINUTE
            assert all(ends[later] == found for later in range(minute, min(until, 360)))
            # A minute that is quiet by no clock is one of a night that clocks which are set back have twice.
            assert inside or shown[minute] in {shown[one] for one in ends if one < minute} | {
                shown[one] for one in ends if one > minute
            }


@pytest.mark.parametrize(
    ("rule", "of_audience", "sentence"),
    [
        ('quiet_hours = "22 to 8"', "", 'write two times of day, such as "22:00 to 08:00"'),
        ('quiet_hours = "22:00 to 24:00"', "", "write two times of day"),
        ('quiet_hours = "22:00-08:00"', "", "write two times of day"),
        ("quiet_hours = 22", "", "write two times of day"),
        ('quiet_hours = "never"', "", "write two times of day"),
        ('quiet_hours = "08:00 to 8:00"', "", "it begins and ends at the same time"),
        ('in_quiet_hours = "wait"', "", 'write "refuse", "shift" or "approval"'),
        ("in_quiet_hours = []", "", 'write "refuse", "shift" or "approval"'),
        ("", 'quiet_hours = "nie"', 'write two times of day, such as "22:00 to 08:00"; or "never"'),
        ("", "quiet_hours = false", 'or "never"'),
        ("", 'in_quiet_hours = "shift"', "in_quiet_hours: it has no quiet hours"),
        (
            'quiet_hours = "22:00 to 08:00"',
            'quiet_hours = "never"\nin_quiet_hours = "shift"',
            "it has no quiet",
        ),
    ],
)
def test_what_are_no_quiet_hours_is_one_sentence(rule: str, of_audience: str, sentence: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        parsed(server(audience("One", "exp_gold", more=of_audience), rules=rules(more=rule)))
    lines = str(caught.value).splitlines()
    assert len(lines) == 1
    assert sentence in lines[0]
    assert "quiet_hours: " in lines[0]


def test_an_audience_has_quiet_hours_of_its_own_or_none() -> None:
    own = 'quiet_hours = "20:00 to 6:30"\nin_quiet_hours = "approval"\ntime_zone = "Asia/Tokyo"\n'
    found = parsed(
        server(
            ONE,
            audience("Own", "exp_gold", more=own),
            audience("Stricter", "exp_gold", more='in_quiet_hours = "refuse"\n'),
            audience("Never", "exp_gold", more='quiet_hours = "never"\n'),
            rules=rules(more=f'quiet_hours = "{NIGHT}"\nin_quiet_hours = "shift"\ntime_zone = "{BERLIN}"\n'),
        )
    ).servers[0]
    night = Hours(time(22), time(8))
    assert found.quiet_of("One") == QuietHours("One", night, BERLIN, "shift")
    assert found.quiet_of("Own") == QuietHours("Own", Hours(time(20), time(6, 30)), "Asia/Tokyo", "approval")
    assert found.quiet_of("Stricter") == QuietHours("Stricter", night, BERLIN, "refuse")
    assert found.quiet_of("Never") is None
    assert parsed().servers[0].quiet_of("One") is None


def under(mode: str, *, hours: str = NIGHT, approvals: int = 1) -> str:
    quiet_rules = f'quiet_hours = "{hours}"\nin_quiet_hours = "{mode}"\ntime_zone = "{BERLIN}"\n'
    return server(ONE, TWO, rules=rules(approvals, more=quiet_rules))


class House:
    """A process whose policy can be another one at any moment."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._process: Process | None = None

    async def open(self, policy: str) -> Process:
        if self._process is not None:
            await self._process.leave()
        read = parsed(of_generation(policy, self._cluster.generation))
        alone = self._cluster.url.startswith("sqlite")
        self._process = await self._cluster.join(alone=alone, policy=read)
        return self._process


@pytest.fixture
async def cluster(setting: tuple[str, str], tmp_path: Path) -> AsyncGenerator[Cluster, None]:
    generation, url = setting
    async with Cluster.open(url, tmp_path, generation=generation) as opened:
        yield opened


@pytest.fixture
def house(cluster: Cluster) -> House:
    return House(cluster)


def at(moment: datetime) -> Schedule:
    return Schedule(typed="late", zone=BERLIN).settled(moment)


async def composed(process: Process, moment: datetime | None) -> Broadcast:
    return await process.service.compose(
        MAYA,
        audience="One",
        notification=WORDS,
        channel_id=CHANNEL,
        schedule=at(moment) if moment else None,
    )


async def asked(process: Process, moment: datetime | None = None) -> Broadcast:
    draft = await composed(process, moment)
    return await process.service.submit(MAYA, draft.id, revision=1)


async def until(process: Process, moment: datetime) -> None:
    await process.tick(moment - process.clock())


async def test_where_they_are_refused_nobody_is_asked_and_no_last_approval_counts(
    house: House, cluster: Cluster
) -> None:
    process = await house.open(under("refuse", approvals=2))
    service = process.service
    late = await composed(process, LATE)
    with pytest.raises(
        NotReady,
        match=r"Its time lies in the quiet hours of “One”, 22:00 to 08:00, which end at Tue 24 Nov 2026 08:00"
        r" CET \(Europe/Berlin\): give it another one\.",
    ):
        await service.submit(MAYA, late.id, revision=1)
    await service.edit(MAYA, late.id, revision=1, notification=WORDS, schedule=at(END))
    await service.submit(MAYA, late.id, revision=2)
    now = await asked(process)
    await service.approve(OMAR, now.id, revision=1)
    # It would have left just before the undo window ends, and not within it.
    process.clock.advance(BEGIN - UNDO - process.clock())
    with pytest.raises(NotReady, match="approve it after that, or its author has to withdraw it and give it"):
        await service.approve(LENA, now.id, revision=1)
    assert [one.approver.id for one in (await process.get(now.id)).approvals] == [OMAR.id]
    assert "It would go out in the quiet hours" in (await process.lines("refused approve"))[0]
    # Not the last one.
    await service.approve(OMAR, late.id, revision=2)
    fresh = await composed(process, None)
    with pytest.raises(NotReady, match="give it a time from then on, or ask for approval once they are over"):
        await service.submit(MAYA, fresh.id, revision=1)
    process.clock.advance(END - UNDO - process.clock())
    after = await service.approve(LENA, now.id, revision=1)
    assert after.due_at == END
    await until(process, END)
    assert len(cluster.deliveries_seen()) == 1


async def test_where_they_shift_a_time_is_stored_as_their_end_and_goes_out_then(
    house: House, cluster: Cluster
) -> None:
    process = await house.open(under("shift"))
    service = process.service
    draft = await composed(process, LATE)
    stored = at(END).model_copy(update={"moved_from": LATE})
    assert draft.schedule == stored
    plain = await service.edit(MAYA, draft.id, revision=1, notification=WORDS, schedule=at(END))
    assert (plain.schedule, plain.fingerprint) == (at(END), draft.fingerprint)
    meanings = (Meaning(at=LATE, label="late"), Meaning(at=END + HOUR, label="early"))
    unclear = Schedule(typed="late", zone=BERLIN, meanings=meanings, problem="Which?")
    await service.edit(MAYA, draft.id, revision=2, notification=WORDS, schedule=unclear)
    settled = await service.settle_time(MAYA, draft.id, revision=3, choice=0)
    assert settled.schedule == stored
    await service.submit(MAYA, draft.id, revision=4)
    again = await service.reschedule(MAYA, draft.id, revision=4, schedule=at(LATE + HOUR))
    assert again.schedule == at(END).model_copy(update={"moved_from": LATE + HOUR})
    assert (await process.lines("reschedule")) == [
        "at 2026-11-24 07:00 UTC (“late”, Europe/Berlin, moved from 2026-11-23 23:30 UTC)"
    ]
    await service.submit(MAYA, draft.id, revision=5)
    approved = await service.approve(OMAR, draft.id, revision=5)
    assert approved.due_at == END
    await until(process, END - SECOND)
    assert cluster.deliveries_seen() == []
    await until(process, END)
    assert len(cluster.deliveries_seen()) == 1


async def test_a_clock_that_is_set_back_lets_what_waits_for_their_end_go_out_then(
    house: House, cluster: Cluster
) -> None:
    process = await house.open(under("shift"))
    cluster.clock.advance(LATE - cluster.clock())
    await process.tick()
    approved = await process.approved()
    assert approved.due_at == END
    for span in (timedelta(minutes=-5), timedelta(minutes=5), timedelta(minutes=-3)):
        process.clock.jump(span)
        await process.tick(SECOND)
        await process.tick(2 * MINUTE)
        assert (await process.status(), (await process.get()).due_at) == (Status.APPROVED, END)
    await process.tick(END - process.clock())
    assert await process.status() is Status.SENT


async def test_what_is_approved_in_hours_that_shift_waits_for_their_end_and_can_be_stopped_before(
    house: House, cluster: Cluster
) -> None:
    process = await house.open(under("shift"))
    waiting = await asked(process)
    process.clock.advance(BEGIN - UNDO - process.clock())
    approved = await process.service.approve(OMAR, waiting.id, revision=1)
    assert (approved.due_at, approved.remind_at) == (END, END - UNDO)
    await until(process, LATE)
    other = await asked(process)
    await process.service.approve(OMAR, other.id, revision=1)
    await until(process, END - SECOND)
    assert cluster.deliveries_seen() == []
    await process.service.stop(LENA, other.id, revision=1)
    await until(process, END)
    assert (await process.status(waiting.id), await process.status(other.id)) == (Status.SENT, Status.DRAFT)
    late = await asked(process)
    assert (await process.service.approve(OMAR, late.id, revision=1)).due_at == END + UNDO


async def test_where_they_ask_for_one_more_it_is_decided_when_it_is_submitted(
    house: House, cluster: Cluster
) -> None:
    process = await house.open(under("approval"))
    service = process.service
    late, now = await asked(process, LATE), await asked(process)
    assert (late.in_quiet_hours, now.in_quiet_hours) == (True, False)
    assert (await process.lines("quiet hours"))[0].endswith("it needs one approval more")
    assert (await service.approve(OMAR, late.id, revision=1)).status is Status.REVIEW
    assert (await service.approve(LENA, late.id, revision=1)).status is Status.APPROVED
    process.clock.advance(BEGIN - process.clock())
    with pytest.raises(NotReady, match="approve it after that, or its author has to withdraw it and ask for"):
        await service.approve(OMAR, now.id, revision=1)
    await service.withdraw(MAYA, now.id, revision=1)
    again = await service.submit(MAYA, now.id, revision=1)
    assert again.in_quiet_hours
    assert (await service.approve(OMAR, now.id, revision=1)).status is Status.REVIEW
    await service.approve(LENA, now.id, revision=1)
    kept = await asked(process)
    await until(process, BEGIN + UNDO)
    await until(process, LATE)
    assert len(cluster.deliveries_seen()) == 2
    process.clock.advance(END + HOUR - process.clock())
    assert (await service.approve(OMAR, kept.id, revision=1)).status is Status.REVIEW
    assert (await service.approve(LENA, kept.id, revision=1)).status is Status.APPROVED


@pytest.mark.parametrize(
    ("before", "now", "held"),
    [
        ("", "refuse", True),
        ("", "shift", True),
        ("", "approval", True),
        ("approval", "refuse", True),
        ("approval", "shift", True),
        ("approval", "approval", False),
        ("refuse", "", False),
    ],
)
@ONCE
async def test_the_policy_of_the_moment_is_asked_again_when_it_is_to_go_out(
    house: House, cluster: Cluster, before: str, now: str, *, held: bool
) -> None:
    def policy(mode: str) -> str:
        return under(mode) if mode else server(ONE, TWO)

    process = await house.open(policy(before))
    timed = await asked(process, EVENING if before == "refuse" else LATE)
    await process.service.approve(OMAR, timed.id, revision=1)
    if before == "approval":
        await process.service.approve(LENA, timed.id, revision=1)
    process = await house.open(policy(now))
    await process.startup.begin()
    await until(process, EVENING if before == "refuse" else LATE)
    found = await process.get(timed.id)
    assert (found.status is Status.HELD) is held
    assert len(cluster.deliveries_seen()) == (0 if held else 1)
    if not held:
        return
    assert found.reason == "it would go out in the quiet hours of “One”, 22:00 to 08:00 (Europe/Berlin)"
    process.clock.advance(timedelta(minutes=2))
    with pytest.raises(NotReady, match="has passed"):
        await process.service.release(LENA, timed.id, revision=1)


@ONCE
async def test_what_they_have_held_is_released_for_one_approval_more(house: House, cluster: Cluster) -> None:
    process = await house.open(server(ONE, TWO))
    process.clock.advance(BEGIN - process.clock())
    held = await asked(process)
    await process.service.approve(OMAR, held.id, revision=1)
    process = await house.open(under("approval"))
    await process.tick(UNDO)
    assert await process.status(held.id) is Status.HELD
    await process.service.release(LENA, held.id, revision=1)
    assert (await process.service.approve(OMAR, held.id, revision=1)).status is Status.REVIEW
    await process.service.approve(LENA, held.id, revision=1)
    await process.tick(UNDO)
    assert len(cluster.deliveries_seen()) == 1


@ONCE
async def test_a_policy_that_has_come_meanwhile_refuses_the_last_approval_of_a_time_in_its_hours(
    house: House,
) -> None:
    process = await house.open(server(ONE, TWO))
    waiting = await asked(process, LATE)
    for mode, mend in (
        ("refuse", "its author has to give it another one"),
        ("shift", "its author has to give it another one"),
        (
            "approval",
            "its author has to withdraw it and ask for approval again, which takes one approval more",
        ),
    ):
        process = await house.open(under(mode))
        with pytest.raises(NotReady, match=f"Its time lies in the quiet hours of .*: {mend}"):
            await process.service.approve(OMAR, waiting.id, revision=1)
    await process.service.withdraw(MAYA, waiting.id, revision=1)
    process = await house.open(under("shift"))
    with pytest.raises(NotReady, match="edit it, and its time is moved there"):
        await process.service.submit(MAYA, waiting.id, revision=1)
    mended = await process.service.edit(MAYA, waiting.id, revision=1, notification=WORDS)
    assert mended.schedule == at(END).model_copy(update={"moved_from": LATE})


@ONCE
async def test_a_card_counts_no_more_once_quiet_hours_ask_something_else(house: House) -> None:
    process = await house.open(server(ONE, TWO))
    seen: set[str] = set()
    waiting = await asked(process)
    policies = [
        server(ONE, TWO),
        *map(under, ("refuse", "shift", "approval")),
        under("shift", hours="21:00 to 08:00"),
    ]
    for policy in policies:
        process = await house.open(policy)
        for one in (waiting, waiting.model_copy(update={"in_quiet_hours": True})):
            seen.add(of_broadcast(process.service.lifecycle, one))
    assert len(seen) == 2 * len(policies)


def late_evening(mode: str) -> Callable[[str], str]:
    """Return what lets the simulated servers, whose clocks show midnight, have quiet hours."""

    def edit(text: str) -> str:
        rule = f'quiet_hours = "22:00 to 08:00"\nin_quiet_hours = "{mode}"\n'
        return text.replace("[server.rules]\n", f"[server.rules]\n{rule}")

    return edit


WHICH: Final = "quiet hours of **Gold members** (22:00 to 08:00, UTC)"


@pytest.mark.parametrize("generation", ["v1", "v5"])
@pytest.mark.parametrize(
    ("mode", "at", "draft", "confirmed", "review", "said"),
    [
        (
            "shift",
            "2026-01-01 23:30",
            "Moved from 23:30: quiet hours of **Gold members** end at 08:00 (UTC)",
            "Moved from 23:30",
            "Moved from 23:30: quiet hours of **Gold members** end at 08:00 (UTC)",
            f"goes out at <t:{int(utc('2026-01-02 08:00').timestamp())}:F>",
        ),
        (
            "shift",
            "",
            f"Approved in the {WHICH}, it waits and goes out when they end.",
            "it waits and goes out when they end",
            "it waits and goes out when they end",
            f"goes out at <t:{int(utc('2026-01-01 08:00').timestamp())}:F>",
        ),
        (
            "approval",
            "2026-01-01 23:30",
            f"It may go out in the {WHICH}, so it needs **one approval more**.",
            "if 2 people of your team approved it by",
            "Approvals 0 of 2",
            "It needs 1 more",
        ),
        (
            "approval",
            "",
            f"It may go out in the {WHICH}, so it needs **one approval more**.",
            "so it needs **one approval more**",
            "so it needs **one approval more**",
            "It needs 1 more",
        ),
        (
            "refuse",
            "2026-01-01 18:00",
            "",
            "",
            "",
            f"goes out at <t:{int(utc('2026-01-01 18:00').timestamp())}:F>",
        ),
    ],
)
async def test_what_they_ask_stands_on_every_card_before_anybody_is_asked(
    open_sandbox: OpenSandbox,
    generation: str,
    mode: str,
    at: str,
    draft: str,
    confirmed: str,
    review: str,
    said: str,
) -> None:
    async with open_sandbox(generation, edit_policy=late_evening(mode)) as sandbox:
        card = await sandbox.compose(time=at)
        shown = readable(response(card))
        assert draft in shown
        assert ("uiet hours" in shown) is bool(draft)
        form = await sandbox.person("Maya").click(response(card), label="Ask for approval")
        assert confirmed in str(form.modal)
        await sandbox.person("Maya").submit_modal(form, {})
        await sandbox.settle()
        assert review in readable(sandbox.review_card())
        assert said in answer(await sandbox.press("Omar", "Approve"))


async def test_where_they_are_refused_the_draft_says_so_and_asks_nobody(v5_quiet: Sandbox) -> None:
    sandbox = v5_quiet
    for at in ("2026-01-01 23:30", ""):
        card = response(await sandbox.compose(time=at))
        assert "Ask for approval" not in button_labels(card)
        assert "the quiet hours of “Gold members”, 22:00 to 08:00, which end at" in readable(card)
    await sandbox.wait(timedelta(hours=12))
    card = await sandbox.compose()
    assert f"Its last approval is refused in the {WHICH}. With a time of its own" in readable(response(card))
    await sandbox.submit(card)
    assert f"Its last approval is refused in the {WHICH}." in readable(sandbox.review_card())
    await sandbox.wait(timedelta(hours=11))
    assert "approve it after that, or its author has to" in answer(await sandbox.press("Omar", "Approve"))


@pytest.fixture
async def v5_quiet(open_sandbox: OpenSandbox) -> AsyncGenerator[Sandbox, None]:
    async with open_sandbox("v5", edit_policy=late_evening("refuse")) as opened:
        yield opened


async def test_what_waited_for_their_end_is_called_as_what_was_approved(open_sandbox: OpenSandbox) -> None:
    async with open_sandbox("v1", edit_policy=late_evening("shift")) as sandbox:
        await sandbox.approved()
        end = utc("2026-01-01 08:00")
        assert f"Goes out at <t:{int(end.timestamp())}:F>" in readable(sandbox.review_card())
        await sandbox.wait(end - UNDO - sandbox.clock() + SECOND)
        call = only(one for one in sandbox.texts("review") if "as it was approved" in one)
        assert "until then **Stop**" in call
        await sandbox.wait(UNDO)
        assert len(sandbox.whop.pushes) == 1


async def test_a_check_names_an_audience_that_too_few_could_approve_in_them(v5: Sandbox) -> None:
    def policy(approvals: int, mode: str) -> Policy:
        text = v5.settings.herald_config.read_text(encoding="utf-8")
        rule = f'quiet_hours = "{NIGHT}"\nin_quiet_hours = "{mode}"\napprovals = {approvals}\n'
        return parse_policy(text.replace("approvals = 1\n", rule), name="herald.toml")

    async def found(read: Policy) -> list[str]:
        return [one async for one in check_discord(read, v5.herald.client) if "ever approve" in one]

    able = len([one for one in PEOPLE.values() if "approve" in one])
    assert await found(policy(able - 1, "refuse")) == []
    assert [one for one in await found(policy(able, "approval")) if "“Gold members”" in one] == [
        f"herald.toml: server “Sunrise Trading”: audience “Gold members”: nobody could ever approve it in"
        f" quiet hours: it needs {able + 1} approval(s), and {able} member(s) other than its author hold a"
        " role of roles.approve: give it to more."
    ]


@pytest.mark.parametrize(
    ("time", "when"),
    [
        (
            "2026-01-01 18:00",
            f"at **<t:{int(utc('2026-01-01 18:00').timestamp())}:F>** (Thu 1 Jan 2026 18:00 UTC",
        ),
        ("", f"at **<t:{int(utc('2026-01-01 08:00').timestamp())}:F>** (Thu 1 Jan 2026 08:00 UTC"),
    ],
)
async def test_what_a_template_lets_out_says_when_and_asks_for_nobody(
    open_sandbox: OpenSandbox, time: str, when: str
) -> None:
    async with open_sandbox("v1", edit_policy=late_evening("shift")) as sandbox:
        cards = Cards(sandbox.herald.service.lifecycle, role_name=lambda _guild, role: str(role))
        await sandbox.compose(time=time)
        with sandbox.herald.store.begin(Access.READ) as tx:
            draft = tx.broadcasts.get(1)
        lent = Approval(
            approver=sandbox.actor("Omar").person, at=sandbox.clock(), template="Down", named=True
        )
        said = cards.confirmation(draft.model_copy(update={"lent": (lent,)}))
        assert f"{when}); until it goes out it can be stopped" in said
        assert "of your team" not in said
