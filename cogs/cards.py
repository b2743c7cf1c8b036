"""How broadcasts look: draft and review cards, echoes, lines of the record."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Final

import discord

from bot import seal
from bot.audience import is_large
from bot.audit.chain import Event
from bot.audit.mirror import Condition
from bot.broadcast import BEFORE_SENDING, OPEN, Broadcast, Place, Read, Status, Step
from bot.characters import HIDDEN
from bot.chat.client import HeraldBot
from bot.chat.custom_ids import Subject
from bot.chat.rendering import Rendered
from bot.corrections import UNPAIRED, Pair, shortcomings
from bot.delivery import Delivery
from bot.digest import Span
from bot.freeze import Freeze, describe
from bot.frequency_rules import too_often
from bot.lifecycle import Lifecycle
from bot.link import host_of
from bot.own_list import Kept
from bot.permissions import Action, Actor
from bot.quiet_rules import as_submitted
from bot.quorum import needed
from bot.repeats import ALONE, Beside
from bot.service import NOTHING, Given, Offer, Standing
from bot.testing import refuse_tests
from cogs.agreement import HOLDERS_LIMIT, RoleName, add_approvals, lent_to
from cogs.buttons import EDIT_PHONE, SEND, TIMES, ActionButton, buttons
from cogs.calls import (
    NOBODY,
    asks_for_approval,
    call_approvers,
    call_holders,
    call_operators,
    reminds,
    tells_of_loan,
)
from cogs.changes import add_changes
from cogs.digest import draw_digest
from cogs.echoes import echo, explanation, goes_out, list_checked, not_asked, shared
from cogs.embeds import FIELD_NAMES, KEPT, field_value
from cogs.freezes import draw_freeze, draw_thaw
from cogs.lately import LATELY, lately_lines, refused_as_too_often
from cogs.layout import CAME_BACK, NOTE, Sheet, lay_out
from cogs.lines import NOWHERE, line_of, trouble_of
from cogs.pairs import add_pair, paired
from cogs.people import add_list, left_out, list_actions, offer_list
from cogs.reach import REACH_LIMIT, account_of, listed_reach, reach, size, whole_reach
from cogs.repeats import warn_of_alike, warn_of_near, warn_of_repeat
from cogs.situation import HEADLINES, changeable, moment, offered, situation
from cogs.template import draw_template
from cogs.text import fitting, inline, length_note, numbered, plain, shorten, units
from cogs.times import quiet_lines, time_fields, when_asked

COLOURS: Final[Mapping[Status, discord.Colour]] = MappingProxyType(
    {
        Status.DRAFT: discord.Colour.light_grey(),
        Status.REVIEW: discord.Colour.blurple(),
        Status.APPROVED: discord.Colour.gold(),
        Status.SENDING: discord.Colour.gold(),
        Status.HELD: discord.Colour.orange(),
        Status.SENT: discord.Colour.green(),
        Status.PARTIAL: discord.Colour.orange(),
        Status.UNKNOWN: discord.Colour.orange(),
        Status.FAILED: discord.Colour.red(),
        Status.CANCELLED: discord.Colour.dark_grey(),
    }
)

FROZEN: Final = "❄️ Frozen"
LOOK_AGAIN: Final = "⚠️ Worth a second look"
WENT_PAST: Final = "⚠️ The author went past these"
NOT_WHOLE: Final = "⚠️ It cannot be approved here"
TOO_MUCH: Final = "More has to be said beside its words than a card has room for: shorten names, or words."
MAY_NOT_ATTACH: Final = (
    "Not all that customers would read stands on this card, and Herald may not attach files here. Allow it"
    " **Attach Files** in this channel's settings; `/notify show` then opens it as a whole."
)
WARNINGS_LIMIT: Final = 600
# Of so many cards it is remembered whom they are for.
REMEMBERED: Final = 1000


class Cards:
    """Draw what people see."""

    def __init__(self, lifecycle: Lifecycle, *, role_name: RoleName) -> None:
        self._lifecycle = lifecycle
        self._role_name = role_name
        self._audiences: dict[int, str] = {}

    def draft(
        self,
        broadcast: Broadcast,
        *,
        offer: Offer = NOTHING,
        beside: Beside = ALONE,
        pair: Pair = UNPAIRED,
        given: Given | None = None,
        elsewhere: int | None = None,
        untested: str = "",
    ) -> Rendered:
        """Draw the author's own card: what it says, what it lacks, what comes next.

        `offer` is what a template would lend it when it is submitted, `beside` what customers may get twice,
        `pair` what it corrects, `given` its list of people;
        `untested` says why whoever sees it has to test it before they go on;
        `elsewhere` is the channel in which its author is told what becomes of it, where Herald may not post.
        """
        lacking = [
            *self._lifecycle.before_review(broadcast),
            *shortcomings(self._lifecycle, broadcast, pair.corrected),
        ]
        submitted = self.as_submitted(broadcast, offer, beside)
        server, now = self._lifecycle.server_of(broadcast), self._lifecycle.clock()
        lacking += refused_as_too_often(submitted, server, beside.lately, now)
        head, details = self._frame(submitted, f"Draft #{broadcast.id}", beside)
        add_list(head, broadcast, given)
        typed = {CAME_BACK: broadcast.reason} | add_pair(head, broadcast, pair)
        if broadcast.reason.strip():
            head.add_field(name=CAME_BACK, value=plain(broadcast.reason), inline=False)
        for field, text in broadcast.notification.texts():
            name = "Length" if field == "all" else f"Length ({FIELD_NAMES[field].lower()})"
            details.add_field(name=name, value=length_note(field, text), inline=False)
        if lacking:
            head.colour = details.colour = discord.Colour.red()
        if before := [*lacking, *filter(None, [untested])]:
            listed = "\n".join(_bulleted(before))
            head.add_field(name="Before you can ask for approval", value=field_value(listed), inline=False)
        if elsewhere is not None:
            place = f"Herald may not post here: you will read it in <#{elsewhere}>."
            details.add_field(name="What becomes of it", value=place, inline=False)
        add_approvals(self._lifecycle, details, submitted, self._role_name)
        if offer.why_not:
            details.add_field(name="📄 Template", value=field_value(inline(offer.why_not)), inline=False)
        view = self._buttons_of_draft(broadcast, submitted, given, submittable=not lacking)
        laid = lay_out(head, details, self._sheet(broadcast, typed))
        attached = (*laid.attached, *left_out(broadcast, given))
        return Rendered(embeds=laid.embeds, attached=attached, view=view)

    def _buttons_of_draft(
        self, broadcast: Broadcast, submitted: Broadcast, given: Given | None, *, submittable: bool
    ) -> discord.ui.View:
        subject = self.subject(broadcast)
        view = buttons([Action.EDIT], subject)
        offer_list(view, broadcast, given, subject)
        meanings = broadcast.schedule.meanings if broadcast.schedule else ()
        for action, meaning in zip(TIMES, meanings, strict=False):
            view.add_item(ActionButton(action, subject, label=shorten(meaning.label, 80)))
        if submittable:
            label = None if self.asks(submitted) else SEND
            view.add_item(ActionButton(Action.SUBMIT, subject, label=label))
        if self._testable(broadcast):
            view.add_item(ActionButton(Action.TEST_DRAFT, subject))
        if broadcast.notification.all is None:
            view.add_item(ActionButton(EDIT_PHONE, subject))
        for action in changeable(self._lifecycle.server_of(broadcast), broadcast):
            view.add_item(ActionButton(action, subject))
        repeatable = broadcast.series is None and broadcast.listed is None
        if repeatable and broadcast.schedule and broadcast.schedule.at:
            view.add_item(ActionButton(Action.REPEAT, subject))
        view.add_item(ActionButton(Action.SHARE, subject))
        view.add_item(ActionButton(Action.CANCEL, subject))
        return view

    def subject(self, broadcast: Broadcast) -> Subject:
        """Return what the buttons on a card of the broadcast are about."""
        sealed = seal.of_broadcast(self._lifecycle, broadcast)
        return Subject(broadcast.id, broadcast.revision, sealed)

    def as_submitted(self, broadcast: Broadcast, offer: Offer, beside: Beside) -> Broadcast:
        """Return a draft as it would be submitted now, with what a template lends it."""
        server, now = self._lifecycle.server_of(broadcast), self._lifecycle.clock()
        asked = as_submitted(server, broadcast, now).model_copy(update={"lent": offer.approvals})
        often = too_often(server, asked, beside.lately, now)
        return asked.model_copy(update={"too_often": often is not None})

    def asks(self, as_submitted: Broadcast) -> bool:
        """Tell whether somebody has to approve it yet before it goes out."""
        server = self._lifecycle.server_of(as_submitted)
        return as_submitted.agreed < needed(server, as_submitted)

    def review(
        self,
        broadcast: Broadcast,
        deliveries: Sequence[Delivery],
        *,
        current: bool = True,
        freeze: Freeze | None = None,
        checkable: bool = False,
        members: Sequence[Actor] | None = None,
        mirror: Condition | None = None,
        beside: Beside = ALONE,
        earlier: Sequence[Read] = (),
        pair: Pair = UNPAIRED,
        given: Given | None = None,
        redrawn: bool = True,
        attaches: bool = True,
    ) -> Rendered:
        """Draw the card for approvers; what is not `redrawn` names no time that it would have to count down.

        It is `checkable` if Whop can be asked again without pushing twice; it said the `earlier` words when
        approvers read it before; `members` are named who could approve it now, where Discord tells who they
        are. Where Herald may attach no file, what does not stand on the card as a whole cannot be approved.
        """
        if not current:
            embed = discord.Embed(
                title=f"#{broadcast.id} · out of date",
                description="A newer card of this broadcast stands further down.",
                colour=discord.Colour.dark_grey(),
            )
            return Rendered(embeds=[embed], view=discord.ui.View(timeout=None))
        head, details = self._frame(broadcast, f"#{broadcast.id} · {HEADLINES[broadcast.status]}", beside)
        head.description = situation(
            broadcast,
            deliveries,
            unchanged=self._lifecycle.is_unchanged(broadcast),
            checkable=checkable,
            redrawn=redrawn,
        )
        if freeze is not None and broadcast.status is Status.APPROVED:
            head.description = (
                "It does **not** go out while sending is frozen; **Stop** takes it back to draft."
            )
        add_list(head, broadcast, given)
        typed = {NOTE: broadcast.note} if broadcast.note.strip() else {}
        if freeze is not None and broadcast.status in OPEN:
            said = describe(freeze, spoken=inline)
            typed[FROZEN] = describe(freeze)
            head.add_field(name=FROZEN, value=said, inline=False)
        if mirror is not None and broadcast.status in OPEN and (trouble := trouble_of(mirror)):
            name, value = trouble
            head.add_field(name=name, value=field_value(value), inline=False)
        typed |= add_changes(head, earlier, broadcast) | add_pair(head, broadcast, pair)
        if broadcast.note.strip():
            head.add_field(name=NOTE, value=plain(broadcast.note), inline=False)
        if broadcast.status is not Status.DRAFT:
            add_approvals(self._lifecycle, details, broadcast, self._role_name, members=members)
        called = NOBODY
        says = asks_for_approval(broadcast)
        if broadcast.status is Status.REVIEW:
            self.remember(broadcast, beside)
            called = call_approvers(self._lifecycle.policy, broadcast, members, at=self._lifecycle.clock())
        elif broadcast.status is Status.APPROVED and broadcast.lent:
            called = call_holders(self._lifecycle.server_of(broadcast))
            says = tells_of_loan(broadcast)
        sheet = self._sheet(broadcast, typed, attaches=attaches)
        laid = lay_out(head, details, sheet)
        testable = self._testable(broadcast)
        actions = offered(broadcast, deliveries, checkable=checkable, testable=testable)
        actions = [*actions, *list_actions(given)]
        if Action.APPROVE in actions and not laid.is_whole:
            actions = [one for one in actions if one is not Action.APPROVE]
            head.add_field(name=NOT_WHOLE, value=TOO_MUCH if attaches else MAY_NOT_ATTACH, inline=False)
            laid = lay_out(head, details, sheet)
        return Rendered(
            content=f"{called.text}{says}" if called.text else "",
            mentions=called.mentions,
            embeds=laid.embeds,
            attached=laid.attached,
            view=buttons(actions, self.subject(broadcast)),
        )

    def _testable(self, broadcast: Broadcast) -> bool:
        """Tell whether a test of it could reach anybody."""
        inside = account_of(self._lifecycle, broadcast).gateway.names_inside
        return not refuse_tests(self._lifecycle.server_of(broadcast), inside=inside)

    def _sheet(self, broadcast: Broadcast, typed: Mapping[str, str], *, attaches: bool = True) -> Sheet:
        """Return all that a card of the broadcast has to show somewhere."""
        whole = "\n".join(f"• {line}" for line in whole_reach(self._lifecycle, broadcast))
        left_out = {"Audience": whole} if units(whole) > REACH_LIMIT - KEPT else {}
        warnings = self._warnings(broadcast)
        if units("\n".join(_bulleted(warnings))) > WARNINGS_LIMIT:
            left_out["Warnings"] = "\n".join(warnings)
        return Sheet(
            name=f"broadcast-{broadcast.id}",
            title=f"Broadcast #{broadcast.id} · proof {broadcast.proof} · revision {broadcast.revision}",
            notification=broadcast.notification,
            typed=typed,
            left_out=left_out,
            attaches=attaches,
        )

    def remember(self, broadcast: Broadcast, beside: Beside = ALONE) -> None:
        """Note whom a broadcast is for, unless approving it asks for the name."""
        if beside.alike or is_large(self._lifecycle.server_of(broadcast), broadcast):
            self.forget(broadcast.id)
            return
        self._audiences[broadcast.id] = broadcast.audience
        if len(self._audiences) > REMEMBERED:
            del self._audiences[next(iter(self._audiences))]

    def forget(self, number: int) -> None:
        """Let the database be asked of a broadcast before it is approved."""
        self._audiences.pop(number, None)

    def audience_of(self, number: int) -> str | None:
        """Return whom a broadcast is for, asking no database; None if its card was not drawn here."""
        return self._audiences.get(number)

    def digest(self, span: Span, results: Mapping[str, Mapping[str, int]]) -> Rendered:
        """Tell a server's people what became of what was decided in a time."""
        return draw_digest(span, results)

    def freeze(self, freeze: Freeze | None, *, guild_id: int) -> Rendered:
        """Tell a server's approvers of a freeze that stands, or of one that was lifted."""
        return draw_freeze(self._lifecycle, freeze, guild_id=guild_id)

    def call(self, broadcast: Broadcast, members: Sequence[Actor] | None) -> Rendered:
        """Call those for whom a broadcast waits to its card."""
        policy = self._lifecycle.policy
        server = policy.server(broadcast.guild_id)
        to_approvers = broadcast.status in {Status.REVIEW, Status.APPROVED}
        called = (
            call_approvers(policy, broadcast, members, at=self._lifecycle.clock())
            if to_approvers
            else call_operators(server)
        )
        return Rendered(content=f"{called.text}{reminds(broadcast, server)}", mentions=called.mentions)

    def thaw(self, freeze: Freeze, waiting: Sequence[Broadcast]) -> Rendered:
        """Ask whether to lift a freeze, and show what would go out then."""
        return draw_thaw(freeze, waiting, brief=self.brief)

    def echo(self, broadcast: Broadcast, step: Step) -> Rendered:
        """Tell the author where they composed; the card has the words, this only says what happened."""
        server = self._lifecycle.policy.server(broadcast.guild_id)
        return echo(broadcast, step, place=self._place(broadcast), server=server)

    def goes_out(self, broadcast: Broadcast) -> Rendered | None:
        """Tell the author that what has a time of its own goes out now; None if it does not any more."""
        return goes_out(broadcast, server=self._lifecycle.policy.server(broadcast.guild_id))

    def list_checked(self, broadcast: Broadcast, kept: Kept | None) -> Rendered | None:
        """Tell the author that Whop was asked about everybody of a list; None if it has gone on since."""
        server = self._lifecycle.policy.server(broadcast.guild_id)
        return list_checked(broadcast, kept, server=server) if kept else None

    def not_asked(self, broadcast: Broadcast) -> Rendered | None:
        """Tell the author of one of a series that lacks something; None if it has gone on since."""
        return not_asked(broadcast, server=self._lifecycle.policy.server(broadcast.guild_id))

    def explanation(self, broadcast: Broadcast) -> Rendered | None:
        """Tell the author why it was stopped, of which they know already; None if it has gone on since."""
        return explanation(broadcast, server=self._lifecycle.policy.server(broadcast.guild_id))

    def shared(self, broadcast: Broadcast, person_id: int, *, opens: bool) -> Rendered | None:
        """Tell somebody that a draft is shared with them; None if it no longer is."""
        return shared(broadcast, person_id, opens=opens)

    def template(
        self, standing: Standing | None, *, ended: Broadcast | None = None, attaches: bool = True
    ) -> Rendered:
        """Ask approvers to approve a template beforehand; None if it says something else by now.

        They are asked again once somebody `ended` a broadcast that it had lent its approval to.
        """
        if standing is None:
            return Rendered(
                content="A template waited here that says something else by now: see `/notify template use`."
            )
        asks = (
            "📄 These words wait to be **approved beforehand**, for an emergency: a broadcast of them, with"
            " its blanks filled, then needs one approval less."
        )
        if ended is not None:
            again = (
                f"⛔ {numbered(ended)}, made of these words, was stopped or sent back: they lend nothing now."
            )
            asks = f"{again}\n{asks}"
        shown = draw_template(standing, attaches=attaches)
        return replace(shown, content="" if standing.is_approved else asks)

    def audit(
        self, event: Event, *, about: Event | None = None, places: Mapping[int, Place] = NOWHERE
    ) -> Rendered:
        """Draw one numbered line of the record, and the line that it is about."""

        def role_name(role: int) -> str:
            return self._role_name(event.guild_id, role)

        return Rendered(content=line_of(event, role_name, about=about, places=places))

    def brief(self, broadcast: Broadcast, *, since: bool = True) -> str:
        """Return one line for a list, with `since` when it stands so if that matters there."""
        title, when = inline(shorten(broadcast.title, 60)), moment(broadcast.updated_at, "R")
        others = [inline(one.name) for one in broadcast.shared]
        wrote = (
            f"{inline(broadcast.author.name)} with {fitting(others, KEPT, between=', ')}"
            if others
            else (inline(broadcast.author.name))
        )
        people = f"{inline(broadcast.audience)} · {wrote}"
        headline = HEADLINES[broadcast.status]
        if broadcast.status is Status.DRAFT and broadcast.reason.strip():
            headline = f"↩️ Came back ({inline(shorten(broadcast.reason, 56))})"
        at = f" · {when}" if since else ""
        return f"**{numbered(broadcast)}** {headline} · {title} · {people}{at}{paired(broadcast)}"

    def confirmation(self, broadcast: Broadcast, *, why_not: str = "", beside: Beside = ALONE) -> str:
        """Say once more, before submitting, what approval would set off; `why_not` is why nothing is lent."""
        server = self._lifecycle.server_of(broadcast)
        now = self._lifecycle.clock()
        lent = f"\n{lent_to(broadcast)}." if broadcast.lent else f"\n📄 {inline(why_not)}" if why_not else ""
        when = when_asked(broadcast, server, now, ends=self._lifecycle.review_ends(broadcast))
        whom = fitting(reach(self._lifecycle, broadcast), REACH_LIMIT, between="; ")
        repeat, alike = warn_of_repeat(broadcast, beside), warn_of_alike(beside)
        again = f"\n⚠️ It **may be a second push**: {repeat}" if repeat else ""
        again += f"\n{alike}" if alike else ""
        quiet = "".join(f"\n{line}" for line in quiet_lines(broadcast, server, now))
        quiet += "".join(f"\n⏱️ {line}" for line in lately_lines(broadcast, server, beside.lately, now))
        return (
            f"**{inline(shorten(broadcast.title, 100))}**\n"
            f"to **{inline(broadcast.audience)}**, {size(self._lifecycle, broadcast)}: {whom}\n"
            f"It goes to **{account_of(self._lifecycle, broadcast).environment}** {when}."
            f" Once Whop has it, nobody can call it back.{lent}{quiet}{again}\n"
            f"Proof code **{broadcast.proof}**"
        )

    def _frame(self, broadcast: Broadcast, title: str, beside: Beside) -> tuple[discord.Embed, discord.Embed]:
        """Return what stands above the words, and what stands below them."""
        server = self._lifecycle.server_of(broadcast)
        topic = server.topic(broadcast.notification.topic)
        head = discord.Embed(title=title, colour=COLOURS[broadcast.status])
        named = f"**{inline(broadcast.audience)}**\n{size(self._lifecycle, broadcast)}"
        value = f"{named}\n{listed_reach(self._lifecycle, broadcast, named)}"
        head.add_field(name="Audience", value=value, inline=False)
        now = self._lifecycle.clock()
        for name, value in time_fields(broadcast, server, now):
            head.add_field(name=name, value=value, inline=False)
        if lately := "\n".join(lately_lines(broadcast, server, beside.lately, now)):
            head.add_field(name=LATELY, value=field_value(lately), inline=False)
        if any(HIDDEN.search(words) for words in broadcast.notification.words()):
            head.add_field(
                name="⚠️ Invisible characters",
                value="They stand in the words below as ⟨U+…⟩; customers would not see them.",
                inline=False,
            )
        if warnings := self._warnings(broadcast):
            name = LOOK_AGAIN if broadcast.status is Status.DRAFT else WENT_PAST
            value = fitting(_bulleted(warnings), WARNINGS_LIMIT, between="\n")
            head.add_field(name=name, value=value, inline=False)
        if repeat := warn_of_repeat(broadcast, beside):
            value = f"It sends #{broadcast.repeats} again, and {repeat}"
            head.add_field(name="⚠️ May be a second push", value=field_value(value), inline=False)
        if broadcast.status in BEFORE_SENDING and (alike := warn_of_alike(beside)):
            value = f"{alike}\nApproving it asks for the audience's name."
            head.add_field(name="The same words for the same people", value=value, inline=False)
        if broadcast.status in BEFORE_SENDING and (near := warn_of_near(beside)):
            head.add_field(name="Nearly the same words for the same people", value=near, inline=False)
        details = discord.Embed(colour=head.colour)
        details.add_field(name="Topic", value=inline(topic.name if topic else broadcast.notification.topic))
        details.add_field(name="Author", value=inline(broadcast.author.name))
        if broadcast.shared:
            names = fitting([inline(one.name) for one in broadcast.shared], HOLDERS_LIMIT, between=", ")
            details.add_field(name="Shared with", value=names)
        if host := host_of(broadcast.notification.link or ""):
            details.add_field(name="A tap leads to", value=f"**{inline(host)}**", inline=False)
        account = account_of(self._lifecycle, broadcast)
        details.set_footer(
            text=f"proof {broadcast.proof} · revision {broadcast.revision} · {account.environment}"
            f" ({account.gateway.generation})"
        )
        return head, details

    def _warnings(self, broadcast: Broadcast) -> list[str]:
        """Return the slips of which people still decide; a date passes by itself."""
        return self._lifecycle.warnings(broadcast) if broadcast.status in BEFORE_SENDING else []

    def _place(self, broadcast: Broadcast) -> str:
        """Return where it would go, behind a dot, unless the policy lost its server."""
        server = self._lifecycle.policy.server(broadcast.guild_id)
        return f" · {self._lifecycle.account_of(server).environment}" if server else ""


def _bulleted(sentences: Iterable[str]) -> list[str]:
    return [f"• {inline(one)}" for one in sentences]


async def setup(bot: HeraldBot) -> None:
    """Give the client its cards."""

    def role_name(guild_id: int, role_id: int) -> str:
        guild = bot.get_guild(guild_id)
        role = guild.get_role(role_id) if guild else None
        return f"@{role.name}" if role else f"the role {role_id}"

    bot.cards = Cards(bot.service.lifecycle, role_name=role_name)
