"""The story, played by itself: compose, approve, send, echo, audit, on both Whop generations."""

from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.markup import escape

from bot import log
from bot.audit.chain import first_broken
from bot.sandbox.customers import customers
from bot.sandbox.discord import SimulatedDiscord
from bot.sandbox.folder import data_folder, recorder
from bot.sandbox.sandbox import Sandbox, answer, readable
from bot.sandbox.whop import Fault
from bot.store import Access

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
        async with Sandbox.open("v5", data=folder, on_exchange=on_exchange, people=customers()) as sandbox:
            story.console.print(
                f"[bold]{sandbox.world.guild.name}[/]: Maya composes, Omar and Lena may approve,"
                " Ada reads the audit channel. Discord and Whop are simulated; the clock is the story's own."
            )
            await _play_generation(story, sandbox)
            story.does("The owner", "changes WHOP_API to v1 and the audiences with it, and restarts Herald.")
            await sandbox.restart(generation="v1")
            await _play_generation(story, sandbox)
            await _close(story, sandbox)
    if story.failures:
        story.console.print(f"\n[red]{len(story.failures)} thing(s) did not end as told.[/]")
        return False
    story.console.print("\n[green]Everything ended as told.[/]")
    return True


async def _play_generation(story: Story, sandbox: Sandbox) -> None:
    generation = sandbox.generation
    await _accepted(story, sandbox, generation)
    await _rejected(story, sandbox, generation)


async def _accepted(story: Story, sandbox: Sandbox, generation: str) -> None:
    story.chapter(f"Whop {generation}: a broadcast that goes out")
    sent = len(sandbox.whop.exchanges)
    story.does("Maya", "types /notify compose in #moderators, chooses Gold members, and fills in the modal.")
    draft = await sandbox.compose(subject="We are live 🎉", content="The stream starts now. Come in!")
    _seen(story, sandbox.world, "only Maya sees", answer(draft))
    story.does("Maya", "presses Ask for approval and confirms.")
    receipt = await sandbox.submit(draft, note="The host is ready.")
    _seen(story, sandbox.world, "only Maya sees", answer(receipt))
    _seen(story, sandbox.world, "everyone in #review sees", readable(sandbox.review_card()))

    story.does("Maya", "tries to approve it herself.")
    refused = await sandbox.press("Maya", "Approve")
    _seen(story, sandbox.world, "only Maya sees", answer(refused))
    story.expects("nobody approves their own broadcast", true="You wrote this broadcast" in answer(refused))

    story.does("Omar", "reads it and presses Approve.")
    approved = await sandbox.press("Omar", "Approve")
    _seen(story, sandbox.world, "only Omar sees", answer(approved))
    await sandbox.wait(timedelta(seconds=9))
    story.expects("inside the undo window nothing is sent", true=len(sandbox.whop.exchanges) == sent)
    await sandbox.wait(timedelta(seconds=2))
    story.does("Herald", "waits the undo window of 10 seconds, then sends.")
    _requests(story, sandbox, since=sent)
    new = sandbox.whop.exchanges[sent:]
    story.expects("exactly one request reached Whop", true=len(new) == 1)
    story.expects(
        f"it went to {PATH[generation]} and was accepted",
        true=bool(new) and new[0].url.endswith(PATH[generation]) and new[0].status in {201, 202},
    )
    push = sandbox.whop.pushes[-1]
    _seen(story, sandbox.world, "customers see on their phones", "\n".join(push.phone or ()))
    story.expects(
        "customers read exactly what was typed",
        true=push.phone == ("We are live 🎉", "The stream starts now. Come in!"),
    )
    _seen(story, sandbox.world, "the card in #review", readable(sandbox.review_card()))
    _seen(story, sandbox.world, "#moderators, where Maya composed", sandbox.newest("moderators"))
    story.expects("the result is echoed", true="was accepted by Whop" in sandbox.newest("moderators"))


async def _rejected(story: Story, sandbox: Sandbox, generation: str) -> None:
    story.chapter(f"Whop {generation}: a broadcast that Whop refuses")
    sent, pushed = len(sandbox.whop.exchanges), len(sandbox.whop.pushes)
    story.does("Maya", "composes another and asks for approval; Omar approves it. Whop is in a bad mood.")
    sandbox.whop.fail_next(Fault.REJECT)
    await sandbox.submit(await sandbox.compose(subject="Second try", content="This one is refused."))
    await sandbox.press("Omar", "Approve")
    await sandbox.wait(timedelta(seconds=11))
    _requests(story, sandbox, since=sent)
    _seen(story, sandbox.world, "the card in #review", readable(sandbox.review_card()))
    _seen(story, sandbox.world, "#moderators, where Maya composed", sandbox.newest("moderators"))
    story.expects("it was tried exactly once", true=len(sandbox.whop.exchanges) == sent + 1)
    story.expects("no customer got anything", true=len(sandbox.whop.pushes) == pushed)
    story.expects(
        "the result says so, honestly", true="was not accepted by Whop" in sandbox.newest("moderators")
    )
    story.expects("Whop's own words are given", true="Whop answered 400" in readable(sandbox.review_card()))


async def _close(story: Story, sandbox: Sandbox) -> None:
    story.chapter("What the audit channel says")
    lines = sandbox.texts("audit")
    for line in lines:
        _seen(story, sandbox.world, "", line)
    with sandbox.herald.store.begin(Access.READ) as tx:
        events = tx.audit.of_guild(sandbox.world.guild.id)
    story.expects(f"all {len(events)} events of the record are posted", true=len(lines) == len(events))
    story.expects("the record's chain is unbroken", true=first_broken(events) is None)
    actions = [event.action for event in events]
    story.expects("the refused attempts stand in it too", true=actions.count("refused approve") == 2)


def _seen(story: Story, world: SimulatedDiscord, where: str, text: str) -> None:
    story.shows(where, world.named(text))


def _requests(story: Story, sandbox: Sandbox, *, since: int) -> None:
    for exchange in sandbox.whop.exchanges[since:]:
        head = f"{exchange.method} {exchange.url}"
        shown = {key: value for key, value in exchange.headers.items() if key in _TELLING}
        headers = "\n".join(f"{key}: {value}" for key, value in shown.items())
        story.shows(
            "what reached Whop",
            f"{head}\n{headers}\n{exchange.body}\n→ {exchange.status} {exchange.response}",
        )


_TELLING: Final = frozenset({"Authorization", "Content-Type", "Api-Version-Date", "Idempotency-Key"})
