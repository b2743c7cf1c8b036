"""A time of its own in Discord: typed in the form, shown on every card, called before it comes."""

from datetime import datetime, timedelta

from bot.broadcast import Broadcast, Status
from bot.sandbox.sandbox import Sandbox, answer, button_labels, readable, response
from bot.store import Access
from tests.harness.found import only


def get(sandbox: Sandbox, number: int = 1) -> Broadcast:
    with sandbox.herald.store.begin(Access.READ) as tx:
        return tx.broadcasts.get(number)


def seconds(moment: datetime | None) -> int:
    assert moment is not None
    return int(moment.timestamp())


async def test_what_is_composed_for_tomorrow_is_approved_today_and_goes_out_then(sandbox: Sandbox) -> None:
    draft = await sandbox.compose(subject="Tomorrow", time="2026-01-02 18:00")
    schedule = get(sandbox).schedule
    assert schedule is not None
    at = schedule.at
    assert at is not None
    assert at - sandbox.clock() > timedelta(hours=1)
    assert (at.hour, at.minute, at.second) == (18, 0, 0)
    shown = readable(response(draft))
    assert f"<t:{seconds(at)}:F>" in shown
    assert "18:00 UTC" in shown
    confirm = await sandbox.person("Maya").click(response(draft), label="Ask for approval")
    assert f"<t:{seconds(at)}:F>" in str(confirm.modal)
    await sandbox.person("Maya").submit_modal(confirm, {})
    await sandbox.settle()
    card = sandbox.review_card()
    assert f"<t:{seconds(at)}:F>" in readable(card)
    assert "Another time…" in button_labels(card)
    said = answer(await sandbox.press("Omar", "Approve"))
    assert f"goes out at <t:{seconds(at)}:F>" in said

    undo = sandbox.policy.servers[0].rules.undo_window
    await sandbox.wait(at - undo - sandbox.clock() - timedelta(seconds=5))
    assert not [one for one in sandbox.texts("review") if "as it was approved" in one]
    await sandbox.wait(timedelta(seconds=6))
    call = only(one for one in sandbox.texts("review") if "as it was approved" in one)
    assert "<@&" in call
    told = only(one for one in sandbox.texts("moderators") if "until then **Stop**" in one)
    assert f"<@{sandbox.person('Maya').id}>" in told
    await sandbox.wait(undo)
    assert get(sandbox).status is Status.SENT
    assert len(sandbox.whop.pushes) == 1


async def test_a_time_with_two_meanings_is_chosen_by_a_button_and_one_that_is_none_can_be_mended(
    sandbox: Sandbox,
) -> None:
    unclear = await sandbox.compose(subject="When?", time="03/04 18:00")
    assert "Ask for approval" not in button_labels(response(unclear))
    meanings = [one for one in button_labels(response(unclear)) if "2026" in one]
    assert len(meanings) == 2
    chosen = await sandbox.person("Maya").click(response(unclear), label=meanings[1])
    assert "Ask for approval" in button_labels(response(chosen))
    words = {"subject": "Mend me", "content": "Come in", "where": "same"}
    if sandbox.generation == "v1":
        del words["where"]
    no_time = await sandbox.compose(subject="Mend me", time="fri 25:00")
    assert "fri 25:00" in readable(response(no_time))
    assert "Ask for approval" not in button_labels(response(no_time))
    form = await sandbox.person("Maya").click(response(no_time), label="Edit")
    mended = await sandbox.person("Maya").submit_modal(form, words | {"time": "in 2 hours"})
    assert "Ask for approval" in button_labels(response(mended))
    kept = get(sandbox, 2).schedule
    form = await sandbox.person("Maya").click(response(mended), label="Edit")
    await sandbox.wait(timedelta(minutes=10))
    await sandbox.person("Maya").submit_modal(
        form, words | {"subject": "Other words", "time": "2026-01-01 02:00"}
    )
    assert (get(sandbox, 2).schedule, get(sandbox, 2).title) == (kept, "Other words")


async def test_another_time_is_given_on_the_card_and_asks_for_approval_anew(sandbox: Sandbox) -> None:
    await sandbox.approved(time="2026-01-02 18:00")
    form = await sandbox.person("Maya").click(sandbox.review_card(), label="Another time…")
    draft = await sandbox.person("Maya").submit_modal(form, {"time": ""})
    assert "**ask for approval** anew" in answer(draft)
    assert (get(sandbox).status, get(sandbox).schedule) == (Status.DRAFT, None)
    await sandbox.submit(draft)
    await sandbox.press("Omar", "Approve")
    await sandbox.wait(timedelta(minutes=2))
    assert get(sandbox).status is Status.SENT


async def test_a_series_begins_on_a_draft_and_is_seen_skipped_paused_and_ended(sandbox: Sandbox) -> None:
    maya, here = sandbox.person("Maya"), sandbox.channel("moderators")
    draft = await sandbox.compose(subject="Every week", time="2026-01-02 18:00")
    form = await maya.click(response(draft), label="Repeat…")
    refused = await maya.submit_modal(form, {"every": "week", "ends": "for ever"})
    assert "neither a number of times nor one day" in answer(refused)
    form = await maya.click(response(draft), label="Repeat…")
    begun = await maya.submit_modal(form, {"every": "week", "ends": "2026-02-01"})
    assert "first of a series" in answer(begun)
    assert "Repeat…" not in button_labels(response(begun))
    await sandbox.submit(begun)
    assert "🔁 Series" in readable(sandbox.review_card())

    listed = await sandbox.person("Omar").slash(here, "notify series")
    assert "every week, until 2026-02-01" in answer(listed)
    shown = await sandbox.person("Omar").click(response(listed), label="Series of #1")
    assert "4 still to come" in readable(response(shown))
    skipped = await sandbox.person("Omar").click(response(shown), label="Skip the next")
    assert "3 still to come" in readable(response(skipped))
    paused = await sandbox.person("Omar").click(response(skipped), label="Pause")
    assert "paused by Omar" in readable(response(paused))
    assert "role" in answer(await sandbox.person("Omar").click(response(paused), label="Go on"))
    again = await maya.click(response(await maya.slash(here, "notify series")), label="Series of #1")
    ended = await maya.click(response(again), label="End it")
    assert "has ended" in readable(response(ended))
    assert button_labels(response(ended)) == []
    assert "Nothing goes out again" in answer(await maya.slash(here, "notify series"))
