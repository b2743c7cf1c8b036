"""The story, played by itself: compose, approve, send, echo, audit, on both Whop generations."""

from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.markup import escape

from bot import log
from bot.audit import first_broken
from bot.sandbox.folder import data_folder, recorder
from bot.sandbox.stage import Stage, answer, readable
from bot.sandbox.whop import Fault
from bot.sandbox.world import World

PATH: Final = {"v5": "/api/v5/app/notifications", "v1": "/api/v1/notifications"}


@dataclass(slots=True)
class Story:
    """Tell what happens and keep count of what did not happen as told."""

    console: Console
    failures: list[str] = field(default_factory=list[str])

    def chapter(self, title: str) -> None:
        """Begin a chapter."""
        self.console.print(f"\n[bold]── {escape(title)} ──[/]")

    def does(self, who: str, what: str) -> None:
        """Tell what someone does."""
        self.console.print(f"\n[bold cyan]{who}[/] {escape(what)}")

    def shows(self, where: str, text: str) -> None:
        """Tell what can be read somewhere."""
        self.console.print(f"  [dim]{where}[/]")
        for line in text.splitlines():
            self.console.print(f"  │ {escape(line)}", highlight=False)

    def expects(self, what: str, *, true: bool) -> None:
        """Check that it went as told."""
        mark = "[green]✓[/]" if true else "[red]✗ not so:[/]"
        self.console.print(f"  {mark} {escape(what)}", highlight=False)
        if not true:
            self.failures.append(what)


async def play_story(*, record: Path | None = None, data: Path | None = None) -> bool:
    """Play the story for v5 and v1; return whether everything ended as told."""
    log.configure(level="warning", style="console", secrets=[])
    story = Story(Console(soft_wrap=True))
    with data_folder(data) as folder, recorder(record) as on_exchange:
        async with Stage.open("v5", data=folder, on_exchange=on_exchange) as stage:
            story.console.print(
                f"[bold]{stage.world.guild.name}[/]: Maya composes, Omar and Lena may approve,"
                " Ada reads the audit channel. Discord and Whop are simulated; the clock is the story's own."
            )
            await _play_generation(story, stage)
            story.does("The owner", "changes WHOP_API to v1 and the audiences with it, and restarts Herald.")
            await stage.restart(generation="v1")
            await _play_generation(story, stage)
            await _close(story, stage)
    if story.failures:
        story.console.print(f"\n[red]{len(story.failures)} thing(s) did not end as told.[/]")
        return False
    story.console.print("\n[green]Everything ended as told.[/]")
    return True


async def _play_generation(story: Story, stage: Stage) -> None:
    generation = stage.settings.whop_api
    await _accepted(story, stage, generation)
    await _rejected(story, stage, generation)


async def _accepted(story: Story, stage: Stage, generation: str) -> None:
    story.chapter(f"Whop {generation}: a broadcast that goes out")
    sent = len(stage.whop.exchanges)
    story.does("Maya", "types /notify compose in #moderators, chooses Gold members, and fills in the modal.")
    draft = await stage.compose(subject="We are live 🎉", content="The stream starts now. Come in!")
    _seen(story, stage.world, "only Maya sees", answer(draft))
    story.does("Maya", "presses Submit and confirms.")
    receipt = await stage.submit(draft, note="The host is ready.")
    _seen(story, stage.world, "only Maya sees", answer(receipt))
    _seen(story, stage.world, "everyone in #review sees", readable(stage.review_card()))

    story.does("Maya", "tries to approve it herself.")
    refused = await stage.press("Maya", "Approve")
    _seen(story, stage.world, "only Maya sees", answer(refused))
    story.expects("nobody approves their own broadcast", true="You wrote this broadcast" in answer(refused))

    story.does("Omar", "reads it and presses Approve.")
    approved = await stage.press("Omar", "Approve")
    _seen(story, stage.world, "only Omar sees", answer(approved))
    await stage.wait(timedelta(seconds=9))
    story.expects("inside the undo window nothing is sent", true=len(stage.whop.exchanges) == sent)
    await stage.wait(timedelta(seconds=2))
    story.does("Herald", "waits the undo window of 10 seconds, then sends.")
    _requests(story, stage, since=sent)
    new = stage.whop.exchanges[sent:]
    story.expects("exactly one request reached Whop", true=len(new) == 1)
    story.expects(
        f"it went to {PATH[generation]} and was accepted",
        true=bool(new) and new[0].url.endswith(PATH[generation]) and new[0].status in {201, 202},
    )
    push = stage.whop.pushes[-1]
    _seen(story, stage.world, "customers see on their phones", "\n".join(push.phone or ()))
    story.expects(
        "customers read exactly what was typed",
        true=push.phone == ("We are live 🎉", "The stream starts now. Come in!"),
    )
    _seen(story, stage.world, "the card in #review", readable(stage.review_card()))
    _seen(story, stage.world, "#moderators, where Maya composed", stage.texts("moderators")[-1])
    story.expects("the result is echoed", true="was accepted by Whop" in stage.texts("moderators")[-1])


async def _rejected(story: Story, stage: Stage, generation: str) -> None:
    story.chapter(f"Whop {generation}: a broadcast that Whop refuses")
    sent, pushed = len(stage.whop.exchanges), len(stage.whop.pushes)
    story.does("Maya", "composes and submits another; Omar approves it. Whop is in a bad mood.")
    stage.whop.fail_next(Fault.REJECT)
    await stage.submit(await stage.compose(subject="Second try", content="This one is refused."))
    await stage.press("Omar", "Approve")
    await stage.wait(timedelta(seconds=11))
    _requests(story, stage, since=sent)
    _seen(story, stage.world, "the card in #review", readable(stage.review_card()))
    _seen(story, stage.world, "#moderators, where Maya composed", stage.texts("moderators")[-1])
    story.expects("it was tried exactly once", true=len(stage.whop.exchanges) == sent + 1)
    story.expects("no customer got anything", true=len(stage.whop.pushes) == pushed)
    story.expects(
        "the result says so, honestly", true="was not accepted by Whop" in stage.texts("moderators")[-1]
    )
    story.expects("Whop's own words are given", true="Whop answered 400" in readable(stage.review_card()))


async def _close(story: Story, stage: Stage) -> None:
    story.chapter("What the audit channel says")
    lines = stage.texts("audit")
    for line in lines:
        _seen(story, stage.world, "", line)
    async with stage.herald.store.reading() as tx:
        events = await tx.record.of_guild(stage.world.guild.id)
    story.expects(f"all {len(events)} events of the record are posted", true=len(lines) == len(events))
    story.expects("the record's chain is unbroken", true=first_broken(events) is None)
    actions = [event.entry.action for event in events]
    story.expects("the refused attempts stand in it too", true=actions.count("refused approve") == 2)


def _seen(story: Story, world: World, where: str, text: str) -> None:
    story.shows(where, world.named(text))


def _requests(story: Story, stage: Stage, *, since: int) -> None:
    for exchange in stage.whop.exchanges[since:]:
        head = f"{exchange.method} {exchange.url}"
        shown = {key: value for key, value in exchange.headers.items() if key in _TELLING}
        headers = "\n".join(f"{key}: {value}" for key, value in shown.items())
        story.shows(
            "what reached Whop",
            f"{head}\n{headers}\n{exchange.body}\n→ {exchange.status} {exchange.response}",
        )


_TELLING: Final = frozenset({"Authorization", "Content-Type", "Api-Version-Date", "Idempotency-Key"})
