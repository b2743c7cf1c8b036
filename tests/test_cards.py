"""Cards, modals and lines keep within Discord's limits, and show what people typed, harmless and exact."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import product
from types import SimpleNamespace
from typing import Any, cast

import discord
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pydantic import SecretStr

from bot.audit.chain import Event, NewEvent, chain
from bot.audit.mirror import Condition
from bot.audit.words import SPOKEN
from bot.broadcast import ECHOED, Approval, Broadcast, Read, Status, Step
from bot.characters import HIDDEN, is_blank, is_storable
from bot.chat.custom_ids import Subject, button_id
from bot.chat.rendering import Rendered
from bot.delivery import Delivery, DeliveryStatus, Request
from bot.freeze import Freeze
from bot.lifecycle import Lifecycle
from bot.notification import (
    CONTENT_LIMIT,
    EXTRA_LIMIT,
    HIDDEN_LIMIT,
    SPLIT_CONTENT_LIMIT,
    SUBJECT_LIMIT,
    Notification,
    Text,
    problems,
)
from bot.origin import PRODUCTION
from bot.permissions import PERMISSIONS, Action, Actor
from bot.policy.loading import parse_policy
from bot.policy.model import ACCOUNT, Policy
from bot.policy.template import Template
from bot.seal import LENGTH
from bot.service import REASON_LIMIT, Standing
from bot.template import skeleton
from bot.value import Person
from bot.whop import Account, gateway_for
from cogs.buttons import LOOKS, ActionButton, buttons
from cogs.cards import COLOURS, HEADLINES, WENT_PAST, Cards
from cogs.embeds import FIELD_NAMES, KEPT
from cogs.layout import APPROVED_BEFORE, CHANGED, NOTE
from cogs.modals import REASONED, ConfirmModal, NameModal, ReasonModal
from cogs.notify import Notify
from cogs.presses import PRESSES
from cogs.template import draw_template
from cogs.text import clip, fitting, plain, reveal, shorten, units
from cogs.writing import BlanksModal, ComposeModal, PhoneModal
from tests.harness import policy
from tests.harness.discord.limits import broken_limits, embed_texts
from tests.harness.found import only
from tests.harness.policy import ONE, parsed, rules, server

NOW = datetime(2026, 11, 23, 9, 41, tzinfo=UTC)
GUILD = 10490000000000000001 // 10
FILLERS = {"escaped": "*", "astral": "🎉", "plain": "a"}
# What a modal takes from the interaction that opens it.
OPENED = cast(
    "discord.Interaction[Any]",
    SimpleNamespace(
        id=10**18,
        client=SimpleNamespace(session="f" * 16),
        type=discord.InteractionType.component,
        data={"custom_id": button_id("approve_template", Subject(10**18 - 1, 10**9 - 1, "f" * LENGTH))},
    ),
)
# Belongs to the character before it, and counts as two in UTF-16.
COMBINING = "\U000e0100"


def longest(filler: str, limit: int) -> str:
    """Return the longest legal text."""
    return filler * (limit // units(filler))


def longest_link(filler: str, generation: str) -> str:
    """Return the longest legal link; no letter but ASCII stands in one."""
    first = "https://whop.com/" if generation == "v5" else "/"
    return first + longest(filler if filler.isascii() else "a", EXTRA_LIMIT - len(first))


def longest_notification(filler: str, *, split: bool, generation: str) -> Notification:
    subject = longest(filler, SUBJECT_LIMIT)
    long = Text(subject=subject, content=longest(filler, CONTENT_LIMIT))
    short = Text(subject=subject, content=longest(filler, SPLIT_CONTENT_LIMIT))
    return Notification(
        topic="t" * 100,
        all=None if split else long,
        in_app=short if split else None,
        mobile=short if split else None,
        link=longest_link(filler, generation),
        subtitle=longest(filler, EXTRA_LIMIT) if generation == "v1" else None,
    )


def longest_policy(filler: str, generation: str) -> Policy:
    kind = "products" if generation == "v5" else "experiences"
    prefix = "prod" if generation == "v5" else "exp"
    targets = ", ".join(f'"{prefix}_{number}{"x" * 30}"' for number in range(40))
    roles = ", ".join(str(GUILD + number) for number in range(1, 26))
    return parse_policy(
        f"""\
[[server]]
name = "{longest_name(filler)}"
guild = {GUILD}
channels = {{ review = {GUILD + 100}, audit = {GUILD + 101} }}
roles = {{ compose = [{roles}], approve = [{roles}], operate = [{roles}], audit = [{roles}] }}
[server.rules]
approvals = 6
[[server.topic]]
id = "{"t" * 100}"
name = "{longest_name(filler)}"
[[server.audience]]
name = "{longest_name(filler)}"
size = 20
targets = {{ {kind} = [{targets}] }}
""",
        name="herald.toml",
    )


def longest_name(filler: str) -> str:
    """Return the longest name that herald.toml takes: it counts as Discord does."""
    return filler * (100 // units(filler))


@dataclass(frozen=True)
class Scene:
    """Cards under a policy, and a way to make broadcasts for them; every text is as long as it may be."""

    generation: str
    filler: str
    lifecycle: Lifecycle
    cards: Cards

    @classmethod
    def make(cls, generation: str, filler: str) -> "Scene":
        gateway = gateway_for(generation, origin=PRODUCTION)
        account = Account.of(gateway, origin=PRODUCTION, api_key=SecretStr("fake-whop-key"))
        lifecycle = Lifecycle(
            policy=longest_policy(filler, generation),
            accounts={ACCOUNT: account},
            clock=lambda: NOW,
        )
        cards = Cards(lifecycle, role_name=lambda _guild, _role: filler * 100)
        return cls(generation, filler, lifecycle, cards)

    def broadcast(self, status: Status = Status.REVIEW, *, split: bool = False, **changes: Any) -> Broadcast:
        person = self.filler * 100
        values: dict[str, Any] = {
            "id": 10**17,
            "guild_id": GUILD,
            "author": Person(10**18, person),
            "editors": (10**18,),
            "audience": longest_name(self.filler),
            "notification": longest_notification(self.filler, split=split, generation=self.generation),
            "status": status,
            "revision": 10**8,
            "fingerprint": "f" * 64,
            "origin_channel_id": 10**18,
            "created_at": NOW,
            "updated_at": NOW,
            "due_at": NOW,
            "review_expires_at": NOW,
            "note": self.filler * REASON_LIMIT,
            "reason": f"{person}: {self.filler * REASON_LIMIT}",
            "approvals": tuple(
                Approval(approver=Person(10**18 + number, person), at=NOW) for number in range(5)
            ),
        }
        return Broadcast(**(values | changes))


def longest_template(scene: Scene) -> Standing:
    """Return a template whose words, names and approvals are as long and as many as they may be."""
    blanks = " ".join(f"{{{letter * 30}}}" for letter in "abcde")
    template = Template(
        name=longest_name(scene.filler),
        audience=longest_name(scene.filler),
        topic="t" * 100,
        subject=longest(scene.filler, SUBJECT_LIMIT),
        content=f"{blanks}{longest(scene.filler, CONTENT_LIMIT - len(blanks))}",
        subtitle=longest(scene.filler, EXTRA_LIMIT),
        link=longest_link(scene.filler, scene.generation),
    )
    approvals = [Approval(approver=Person(number, scene.filler * 100), at=NOW) for number in range(20)]
    return Standing(template, "f" * 64, tuple(approvals), 20)


async def no_answer(interaction: discord.Interaction[Any], typed: str) -> None:
    _ = interaction, typed


SCENES = pytest.mark.parametrize(
    "scene",
    [pytest.param((generation, filler), id=f"{generation}-{name}")
     for generation in ("v5", "v1") for name, filler in FILLERS.items()],
    indirect=True,
)  # fmt: skip


@pytest.fixture
def scene(request: pytest.FixtureRequest) -> Scene:
    generation, filler = getattr(request, "param", ("v5", "a"))
    return Scene.make(generation, filler)


def deliveries(count: int, status: DeliveryStatus) -> list[Delivery]:
    request = Request(method="POST", url="https://api.whop.com/x", headers={}, body=b"")
    return [
        Delivery(
            id=number,
            broadcast_id=1,
            position=number,
            account=ACCOUNT,
            request=request,
            status=status,
            attempts=1,
            detail="d" * 300,
        )
        for number in range(count)
    ]


# --- Discord's limits ------------------------------------------------------------------------------


def assert_fits(shown: Rendered) -> None:
    view = [] if shown.view is None else shown.view.to_components()
    embeds = [embed.to_dict() for embed in shown.embeds]
    assert broken_limits({"content": shown.content, "embeds": embeds, "components": view}) == []


def assert_modal_fits(modal: discord.ui.Modal) -> None:
    assert broken_limits(modal.to_dict()) == []


def situations(scene: Scene) -> Iterator[dict[str, Any]]:
    """Yield everything that may stand on a card beside what was submitted, each as long as it may be."""
    name = scene.filler * 100
    freeze = Freeze(guild_id=GUILD, by=Person(1, name), at=NOW, reason=longest(scene.filler, REASON_LIMIT))
    able = [
        Actor(id=number, name=name, guild_id=GUILD, roles=frozenset({GUILD + 1})) for number in range(1, 30)
    ]
    lags = Condition(waiting=9, failures=9, since=NOW, why="Herald could not write it: " * 8)
    unread = Condition(unread="Herald may not read it: allow it in the settings " * 4)
    words = Notification(topic="t" * 100, all=Text(subject="Before", content="That"))
    earlier = (Read(2, words, "*" * 100), Read(1, words, "*" * 100, ("*" * 100,) * 9))
    for frozen, mirror in product((freeze, None), (lags, unread, None)):
        yield {"freeze": frozen, "mirror": mirror, "members": able, "earlier": earlier}


@SCENES
@pytest.mark.parametrize("status", Status)
def test_the_longest_card_of_every_situation_fits_and_lacks_no_words(scene: Scene, status: Status) -> None:
    for split in {False, scene.generation == "v5"}:
        broadcast = scene.broadcast(status, split=split, repeats=10**17 - 1)
        assert problems(broadcast.notification) == []
        assert scene.lifecycle.shortcomings(broadcast) == []
        for sent in ([], deliveries(1, DeliveryStatus.UNKNOWN), deliveries(40, DeliveryStatus.REJECTED)):
            for situation in situations(scene):
                shown = scene.cards.review(broadcast, sent, **situation)
                assert_fits(shown)
                assert_words_stand_there(broadcast.notification, shown)
        assert_fits(scene.cards.review(broadcast, [], current=False))


@SCENES
def test_the_longest_draft_card_fits_and_lacks_no_words(scene: Scene) -> None:
    for split in {False, scene.generation == "v5"}:
        broadcast = scene.broadcast(Status.DRAFT, split=split)
        shown = scene.cards.draft(broadcast)
        assert_fits(shown)
        assert_words_stand_there(broadcast.notification, shown)


def assert_words_stand_there(notification: Notification, shown: Rendered) -> None:
    """See that each text that customers get stands in its frame, or in the file that the frame names."""
    frames = [one for one in shown.embeds if one.author.name in FIELD_NAMES.values()]
    for embed, (name, text) in zip(frames, notification.texts(), strict=True):
        words = (reveal(text.subject), reveal(text.content))
        if unescaped(embed.description or "") != f"**{words[0]}**\n{words[1]}":
            assert_names_file(embed.description or "", shown)
            filed = [in_file(shown, f"{FIELD_NAMES[name]}, {what}") for what in ("subject", "content")]
            assert filed == [*words]
    extras = {"Subtitle": notification.subtitle, "A tap opens": notification.link}
    found = {field.name or "": field.value or "" for field in frames[-1].fields}
    for name, value in extras.items():
        if value and unescaped(found[name]) not in {reveal(value).strip(), "(blank)"}:
            assert_names_file(found[name], shown)
            assert in_file(shown, name) == reveal(value)
    if {"Approve", "Approve the template"} & set(labels(shown)):
        texts = [shown.content, *(text for one in shown.embeds for text, _, _ in embed_texts(one.to_dict()))]
        assert [text for text in texts if text.rstrip().endswith("…")] == []


def assert_names_file(text: str, shown: Rendered) -> None:
    assert text.endswith(f"Cut here: the attached {only(shown.attached).name} has all of it.")


def in_file(shown: Rendered, name: str) -> str:
    """Return what stands in the attached file under that name, without its bars."""
    _, _, rest = only(shown.attached).text.partition(f"\n{name}:\n")
    lines: list[str] = []
    for line in re.split(r"(?<=[\n\v\f\x1c-\x1e\x85\u2028\u2029])|(?<=\r)(?!\n)", rest):
        if not line.startswith("| "):
            break
        lines.append(line.removeprefix("| "))
    return "".join(lines).removesuffix("\n")


@SCENES
def test_neither_notes_nor_words_take_anything_from_what_decides(scene: Scene) -> None:
    for split, situation in product({False, scene.generation == "v5"}, situations(scene)):
        longest = scene.broadcast(split=split, repeats=10**17 - 1)
        few = Notification(
            topic="t" * 100, all=Text(subject="a", content="b"), link=longest.notification.link
        )
        short = longest.model_copy(update={"note": "", "notification": few})
        notes = {NOTE, CHANGED, APPROVED_BEFORE}
        fields = [
            {
                field.name: field.value
                for embed in (shown.embeds[0], shown.embeds[-1])
                for field in embed.fields
                if field.name not in notes
            }
            for shown in (scene.cards.review(one, [], **situation) for one in (longest, short))
        ]
        assert fields[0] == fields[1]
        shown = scene.cards.review(longest, [], **situation)
        if any("✂️" in (frame.description or "") for frame in shown.embeds[1:-1]):
            gave_way = {one.name: units(one.value or "") for one in shown.embeds[0].fields}
            assert [one for one in notes if gave_way[one] > KEPT] == []
        assert {"Audience", "Approvals 5 of 6", "⚠️ May be a second push"} <= set(fields[0])


@SCENES
def test_however_many_slips_there_are_they_take_nothing_from_what_decides(scene: Scene) -> None:
    slips = (
        "A {one} [two] <three>, `four` **five** __six__ :seven: :eight: @everyone @here <@9> TBD xxx asdf  b"
        " ALL IN CAPITALS test http://ten.example https://bit.ly/1 www.eleven.com 2020-01-01 1.1.2021 зеlеn"
    )
    known = longest_notification(scene.filler, split=False, generation=scene.generation)
    long = Text(subject=slips[:SUBJECT_LIMIT], content=slips + longest(scene.filler, CONTENT_LIMIT - 300))
    broadcast = scene.broadcast(notification=known.model_copy(update={"all": long}))
    warnings = scene.lifecycle.warnings(broadcast)
    assert len(warnings) == 13
    for situation in situations(scene):
        shown = scene.cards.review(broadcast, [], **situation)
        assert_fits(shown)
        assert_words_stand_there(broadcast.notification, shown)
        told = only([one.value or "" for one in shown.embeds[0].fields if one.name == WENT_PAST])
        assert unescaped(told).startswith(f"• {warnings[0]}\n• ")
        assert told.rpartition("\n")[2].startswith("… and ")
        assert in_file(shown, "Warnings") == reveal("\n".join(warnings))
    assert "Approve" in labels(scene.cards.review(broadcast, []))
    assert_fits(scene.cards.draft(broadcast.model_copy(update={"status": Status.DRAFT})))


@SCENES
def test_where_nothing_may_be_attached_no_words_are_approved_that_do_not_stand_there(scene: Scene) -> None:
    offers: set[bool] = set()
    for split, situation in product({False, scene.generation == "v5"}, situations(scene)):
        broadcast = scene.broadcast(split=split, repeats=10**17 - 1)
        shown = scene.cards.review(broadcast, [], **situation, attaches=False)
        assert_fits(shown)
        assert shown.attached == ()
        offers.add("Approve" in labels(shown))
        if "Approve" in labels(shown):
            assert_words_stand_there(broadcast.notification, shown)
        else:
            assert any("**Attach Files**" in (field.value or "") for field in shown.embeds[0].fields)
    # Whom it is for stands in the file alone: test_attached.py has those of which everything stands there.
    assert offers == {False}


@pytest.mark.parametrize("end", ["\n", "\r", "\r\n", "\v", "\x85", "\u2028"])
def test_nothing_that_is_typed_passes_for_anything_else_in_the_file(end: str) -> None:
    scene = Scene.make("v1", "*")
    known = longest_notification("*", split=False, generation="v1")
    forged = f"{end}A tap opens:{end}| /elsewhere{end}{'*' * 1400}"
    words = known.model_copy(update={"all": Text(subject="*" * 100, content=forged)})
    assert problems(words) == []
    shown = scene.cards.review(scene.broadcast(notification=words), [], **next(situations(scene)))
    assert in_file(shown, "Feed and phone, content") == forged
    assert in_file(shown, "A tap opens") == known.link


# Legal, but for the limits: what needs escaping, naming or two units, and what a file could take for its own.
_PARTS = ("*", "\\", "a", " ", "\n", "\r\n", "\u2028", "| ", "🎉", "\u200b", "…", "A tap opens:\n")
_SOME = st.one_of(st.lists(st.sampled_from(_PARTS), max_size=12).map("".join), st.text(max_size=12))
# Repeated as often as may be: it is the long ones that a card has no room for.
_ANY = st.tuples(_SOME, st.sampled_from([1, 7, 1500])).map(lambda drawn: (drawn[0] * drawn[1])[:3000])


def legal(text: str, limit: int) -> str:
    """Return as much of the text as is legal."""
    while units(text) > limit or len(HIDDEN.findall(text)) > HIDDEN_LIMIT:
        text = text[: len(text) * 9 // 10]
    return text if not is_blank(text) and is_storable(text) else "a"


@settings(deadline=None)
@given(
    st.sampled_from(["v5", "v1"]), st.sampled_from(list(Status)), st.booleans(), st.integers(0, 5),
    st.lists(_ANY, min_size=5, max_size=5), st.text(max_size=REASON_LIMIT),
)  # fmt: skip
def test_whatever_is_legal_stands_on_the_card_or_in_its_file(
    generation: str, status: Status, split: bool, situation: int, words: list[str], note: str
) -> None:
    scene = Scene.make(generation, "*")
    limit = SPLIT_CONTENT_LIMIT if split else CONTENT_LIMIT
    first, second = (
        Text(subject=legal(words[one], SUBJECT_LIMIT), content=legal(words[one + 1], limit)) for one in (0, 2)
    )
    notification = Notification(
        topic="t" * 100,
        all=None if split else first,
        in_app=first if split else None,
        mobile=second if split else None,
        link=legal(words[4], EXTRA_LIMIT),
        subtitle=legal(words[1], EXTRA_LIMIT) if generation == "v1" else None,
    )
    broadcast = scene.broadcast(status, notification=notification, note=note)
    shown = scene.cards.review(broadcast, [], **list(situations(scene))[situation])
    assert_fits(shown)
    assert_words_stand_there(notification, shown)


@SCENES
def test_a_draft_that_is_too_long_fits_all_the_same(scene: Scene) -> None:
    """As long as the modals let it be: the code points are at their limit, and each is a character."""
    text = Text(subject=scene.filler * 120, content=scene.filler * 1800)
    for notification in (
        Notification(topic="gone", all=text, link=scene.filler * 240, subtitle=scene.filler * 240),
        Notification(topic="gone", in_app=text, mobile=text, link=scene.filler * 240),
        Notification(topic="gone", all=text, in_app=text, mobile=text),
    ):
        broadcast = scene.broadcast(Status.DRAFT, notification=notification, audience=scene.filler * 99)
        assert len(scene.lifecycle.shortcomings(broadcast)) >= 4
        assert_fits(scene.cards.draft(broadcast))


def test_a_draft_of_nothing_but_spaces_is_shown(scene: Scene) -> None:
    """Discord refuses a field that has only spaces, and with it the whole card."""
    blank = Notification(topic="t", all=Text(subject=" ", content="\n"), link="  ", subtitle="\t")
    broadcast = scene.broadcast(Status.DRAFT, notification=blank, note=" ", reason=" ")
    assert_fits(scene.cards.draft(broadcast))
    assert_fits(scene.cards.review(broadcast, [], current=True))


@SCENES
def test_the_longest_echo_fits(scene: Scene) -> None:
    for step in ECHOED:
        shown = scene.cards.echo(scene.broadcast(), step)
        assert_fits(shown)
        assert shown.content.startswith(f"<@{10**18}>")


@SCENES
def test_the_longest_line_of_the_record_fits(scene: Scene) -> None:
    entry = NewEvent(
        guild_id=GUILD,
        at=NOW,
        actor=Person(10**18, scene.filler * 100),
        action="refused request_changes",
        broadcast_id=10**17,
        proof="ABCD1234",
        detail=f"it takes the role <@&{GUILD}> " + scene.filler * 6000,
    )
    event = Event(**dict(entry), sequence=10**9, previous="0" * 64, digest=chain(entry, previous=None).digest)
    assert_fits(scene.cards.audit(event))
    assert_fits(scene.cards.audit(event, about=event))


@SCENES
def test_a_list_of_the_longest_broadcasts_fits_line_by_line(scene: Scene) -> None:
    for status in Status:
        assert units(scene.cards.brief(scene.broadcast(status))) <= 700


@SCENES
async def test_the_longest_template_fits(scene: Scene) -> None:
    standing = longest_template(scene)
    shown = draw_template(standing)
    assert_fits(shown)
    assert_words_stand_there(skeleton(standing.template), shown)


@SCENES
async def test_the_longest_modals_fit(scene: Scene) -> None:
    form = scene.lifecycle.accounts[ACCOUNT].gateway.form
    audience = longest_name(scene.filler)
    assert_modal_fits(
        ComposeModal(OPENED, form, audience=audience, topic="t" * 100, title=f"Notify {audience}")
    )
    for split in {False, scene.generation == "v5"}:
        broadcast = scene.broadcast(Status.DRAFT, split=split)
        assert_modal_fits(ComposeModal.editing(OPENED, form, broadcast))
        assert_modal_fits(PhoneModal(OPENED, broadcast))
        assert_modal_fits(ConfirmModal(OPENED, broadcast, scene.cards.confirmation(broadcast), asks=True))
    assert_modal_fits(NameModal(OPENED, f"“{audience}”", audience, no_answer))
    assert_modal_fits(BlanksModal(OPENED, longest_template(scene)))
    for action in REASONED:
        assert_modal_fits(ReasonModal(OPENED, action, 10**17, 10**8))


@SCENES
async def test_a_modal_takes_back_whatever_a_modal_gave(scene: Scene) -> None:
    """A prefill that is longer than its field would make Discord refuse the whole modal."""
    text = Text(subject=scene.filler * 120, content=scene.filler * 1800)
    broadcast = scene.broadcast(
        Status.DRAFT, notification=Notification(topic="t", in_app=text, mobile=text, link=scene.filler * 240)
    )
    assert_modal_fits(ComposeModal.editing(OPENED, scene.lifecycle.accounts[ACCOUNT].gateway.form, broadcast))
    assert_modal_fits(PhoneModal(OPENED, broadcast))


def test_a_long_list_of_targets_shows_as_many_as_fit_and_counts_the_rest(scene: Scene) -> None:
    shown = scene.cards.review(scene.broadcast(), [], current=True).embeds[0].fields[0].value or ""
    named, rest = shown.count("prod_"), re.search(r"and (\d+) more", shown)
    assert rest is not None
    assert named >= 5
    assert named + int(rest[1]) == 40


@pytest.mark.parametrize("scene", [("v1", "a")], indirect=True)
def test_a_long_list_of_requests_still_says_how_many_pushes_there_are(scene: Scene) -> None:
    shown = scene.cards.review(scene.broadcast(), [], current=True).embeds[0].fields[0].value or ""
    assert "40 requests: whoever is in several of these gets one push for each" in shown
    assert "40 requests" in scene.cards.confirmation(scene.broadcast())


# --- cutting ---------------------------------------------------------------------------------------


@given(st.text(), st.integers(2, 40))
def test_what_is_cut_keeps_to_its_limit_and_no_half_escape(text: str, limit: int) -> None:
    assert units(shorten(text, limit)) <= limit
    cut = clip(plain(text), limit)
    assert units(cut) <= limit
    if cut != plain(text):
        assert cut.endswith("…")
        assert not re.search(r"(?<!\\)(\\\\)*\\…$", cut)


@pytest.mark.parametrize("limit", range(2, 9))
def test_a_cut_never_escapes_its_own_ellipsis(limit: int) -> None:
    assert re.fullmatch(r"(\\\*|\\\\)*…", clip(plain("*\\" * 9), limit))


@given(st.lists(st.text("abc", max_size=9), min_size=1, max_size=30), st.integers(40, 90))
def test_what_does_not_fit_is_counted(parts: list[str], limit: int) -> None:
    shown = fitting(parts, limit, between="; ")
    assert units(shown) <= limit
    if shown != "; ".join(parts):
        *kept, rest = shown.split("; ")
        assert kept == parts[: len(kept)]
        assert rest == f"… and {len(parts) - len(kept)} more"


@pytest.mark.parametrize("rest", [[], ["b"], ["b", "c"]])
def test_a_part_that_is_too_long_alone_is_cut(rest: list[str]) -> None:
    shown = fitting(["a" * 100, *rest], 50, between="; ")
    assert units(shown) <= 50
    assert shown.startswith("aaa")
    assert shown.endswith(f"… and {len(rest)} more" if rest else "…")


# --- harmless and exact ----------------------------------------------------------------------------

# Clients read an escape like this: a backslash before anything but letters, digits and spaces.
ESCAPE = re.compile(r"\\([^0-9A-Za-z\s])")
BREAKS = re.compile("[\n\r\v\f\x1c\x1d\x1e\x85\u2028\u2029]")

HOSTILE = [
    *re.findall(
        r"\S+",
        r"""
<@1> <@!1> <@&1> <#1> </cmd:1> <t:1> <t:1:R> <id:customize> <:a:1> <a:a:1> <https://b.example> @everyone @here
<mailto:a@b.example> [a](http://b.example) [a](<http://b.example>) ![a](b) http://b.example steam://run
https://b.example/_x_ `code` ``code`` ||spoiler|| **b** *i* __u__ _i_ ~~s~~ :smile: :a::b: ::smile: :*: :\:
\ \\ \* \\* a\ ¯\_(ツ)_/¯ :// *://* \:// :\// --- === | a|b @ < > # - +
""",
    ),
    "# heading", "## heading", "-# small", "> quote", ">>> quotes", "- list", "  - list", "* list",
    "+ list", "1. list", "12) list", "```\ncode\n```", "```py\n", "</cmd sub:1>", "[a b](http://b c)",
]  # fmt: skip
STARTS = [
    "", "\n", "\r", "\r\n", "\u2028", "\u2029", "\x85", "\v", "\f", "\x1c", "\x1e",
    "\n ", "\n\t", "\u2028\u00a0", "\n\ufeff",
]  # fmt: skip


def unescaped(markdown: str) -> str:
    """Return what a client shows of text in which nothing but escapes is markup."""
    return ESCAPE.sub(r"\1", markdown)


def assert_harmless(markdown: str) -> None:
    """Look for what a client would act upon, with each escaped character out of the way."""
    bare = ESCAPE.sub("x", markdown)
    assert not re.search(r"[\\*_~|`<\[\]@]", bare), bare
    assert "://" not in bare
    assert not re.search(r":[^\s:]+:", ESCAPE.sub(" ", markdown)), bare
    for line in BREAKS.split(bare):
        assert not re.match(r"[\s\ufeff]*([#>+-]|\d+[.)])", line), bare


typed = st.one_of(
    st.text(),
    st.lists(st.sampled_from([*HOSTILE, *STARTS, "a", " ", "1", "x y"]), max_size=6).map("".join),
    st.text("\\*_~|`<>[]()@#:/-+.1a \n\r\u2028", max_size=30),
)


@given(typed)
@example("1.\n2)\r3.")
def test_typed_text_is_shown_exactly_and_does_nothing(text: str) -> None:
    shown = plain(text)
    assert unescaped(shown) == reveal(text)
    assert_harmless(shown)


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_is_shown_exactly_and_does_nothing_wherever_a_line_starts(text: str) -> None:
    for start in STARTS:
        for whole in (start + text, f"a{start}{text} b", f"{text}{start}{text}"):
            assert unescaped(plain(whole)) == reveal(whole)
            assert_harmless(plain(whole))


def test_ordinary_text_is_left_as_it_is() -> None:
    text = "It's 10:30 – “50 %” off (today)! Größe: XL; a/b, c & d = e. 3-2-1, v1.2"
    assert plain(text) == text


@pytest.mark.parametrize("text", ["<@1>", "@everyone", "[a](http://b.example)", "# heading", "`", "\\"])
def test_no_card_lets_typed_text_act(scene: Scene, text: str) -> None:
    person = Person(7, text)
    broadcast = scene.broadcast(
        notification=Notification(
            topic="gone", all=Text(subject=text, content=f"a\n{text}"), subtitle=text, link=text
        ),
        author=person,
        audience=text,
        note=text,
        reason=text,
        approvals=(Approval(approver=person, at=NOW),),
    )
    entry = NewEvent(guild_id=GUILD, at=NOW, actor=person, action="reject", broadcast_id=1, detail=text)
    cards = scene.cards
    shown = [
        *(
            cards.review(broadcast.model_copy(update={"status": status}), [], current=True)
            for status in Status
        ),
        cards.draft(broadcast),
        *(cards.echo(broadcast, step) for step in ECHOED),
        cards.explanation(broadcast.model_copy(update={"status": Status.DRAFT})),
        cards.audit(chain(entry, previous=None)),
        Rendered(content=cards.brief(broadcast)),
        Rendered(content=cards.confirmation(broadcast)),
    ]
    for rendered in filter(None, shown):
        for words in (
            rendered.content,
            *(text for one in rendered.embeds for text, _, _ in embed_texts(one.to_dict())),
        ):
            bare = ESCAPE.sub("x", _without_our_own_markup(words))
            assert not re.search(r"[\\<\[\]@]|^\s*#|://", bare, re.MULTILINE), words


def _without_our_own_markup(words: str) -> str:
    # Those who are called stand in front.
    words = re.sub(r"\A(<@&\d+> )+", "", words)
    words = re.sub(
        r"<t:\d+:[a-zA-Z]>|<@7>|\*\*#\d+\*\*|#\d+|`/notify drafts`|^-# ", "", words, flags=re.MULTILINE
    )
    return re.sub(r"^` *\d+`", "", words)


def test_an_echo_can_ping_its_author_and_nobody_else(scene: Scene) -> None:
    shown = scene.cards.echo(scene.broadcast(reason="@everyone <@&1> <@1>"), Step.REJECT)
    allowed = shown.mentions.to_dict()
    assert allowed["parse"] == []
    assert allowed["users"] == [10**18]  # pyright: ignore[reportTypedDictNotRequiredAccess]


def test_cards_and_lines_of_the_record_can_ping_nobody(scene: Scene) -> None:
    entry = NewEvent(guild_id=GUILD, at=NOW, actor=Person(7, "Maya"), action="submit")
    for shown in (
        scene.cards.review(scene.broadcast(Status.APPROVED), [], current=True),
        scene.cards.draft(scene.broadcast(Status.DRAFT)),
        scene.cards.audit(chain(entry, previous=None)),
    ):
        assert shown.mentions.to_dict() == {"parse": []}


# --- what people have to decide on ------------------------------------------------------------------

ASKED = "Look into the app, then say what you found."
DECIDE = ["It went out", "It did not", "Send again as a new broadcast"]
FREEZE = Freeze(guild_id=None, by=Person(7, "Lena"), at=NOW, reason="Wrong price.")


def described(shown: Rendered) -> str:
    return shown.embeds[0].description or ""


def labels(shown: Rendered) -> list[str]:
    children = shown.view.children if shown.view else []
    return [one.item.label or "" for one in children if isinstance(one, ActionButton)]


def test_an_unknown_one_of_a_single_request_says_why_and_asks_a_person(scene: Scene) -> None:
    broadcast = scene.broadcast(Status.UNKNOWN, reason="no answer from Whop: the connection broke")
    shown = scene.cards.review(broadcast, deliveries(1, DeliveryStatus.UNKNOWN))
    said = described(shown)
    assert said.startswith(
        "Nobody knows whether customers got it: no answer from Whop: the connection broke."
    )
    assert said.endswith(ASKED)
    assert "Herald never sends it again by itself" in said
    assert "requests" not in said
    assert labels(shown) == DECIDE


def test_an_unknown_one_of_several_requests_counts_what_is_known_of_each(scene: Scene) -> None:
    sent = [
        *deliveries(2, DeliveryStatus.ACCEPTED),
        *deliveries(1, DeliveryStatus.REJECTED),
        *deliveries(3, DeliveryStatus.UNKNOWN),
    ]
    shown = scene.cards.review(scene.broadcast(Status.UNKNOWN), sent)
    assert (
        "6 requests to Whop: 2 accepted (queued; Whop does not say how many people it reaches);"
        " 1 not accepted; 3 no known answer." in described(shown)
    )
    assert labels(shown) == DECIDE


def test_an_unknown_one_that_can_be_checked_says_what_the_check_does(scene: Scene) -> None:
    shown = scene.cards.review(
        scene.broadcast(Status.UNKNOWN), deliveries(1, DeliveryStatus.UNKNOWN), checkable=True
    )
    assert (
        "**Check again** repeats the very same request: Whop knows its key, and nobody gets it twice."
        " Whoever did not get it then, gets it now." in described(shown)
    )
    assert labels(shown) == ["Check again", *DECIDE]


@pytest.mark.parametrize("status", [DeliveryStatus.PENDING, DeliveryStatus.IN_FLIGHT])
def test_an_unknown_one_that_is_being_checked_asks_nobody(scene: Scene, status: DeliveryStatus) -> None:
    for checkable in (False, True):
        shown = scene.cards.review(
            scene.broadcast(Status.UNKNOWN), deliveries(1, status), checkable=checkable
        )
        assert "Whop is being asked again, with the same request" in described(shown)
        assert ASKED not in described(shown)
        assert labels(shown) == []


@pytest.mark.parametrize(
    "reason",
    [
        "it was due 20 minutes ago and has been missed",
        "what it would send is no longer what was approved: the policy or the address has changed",
        "it has fewer approvals than the policy asks for now",
        "the policy no longer names this server",
        "Omar, who approved it, has lost the role for that since",
        "Maya, who wrote it, has left the server since",
        "Discord could not be asked which roles Maya, who wrote it, holds now",
        "the database was restored from a copy; it may have gone out since that was made",
        "The subject is empty.",
    ],
)
def test_what_is_held_says_why_once_and_what_can_be_done(scene: Scene, reason: str) -> None:
    shown = scene.cards.review(scene.broadcast(Status.HELD, reason=reason), [])
    assert described(shown) == (
        f"It will **not** go out by itself: {reason.rstrip('.')}.\n**Release** puts it before the approvers"
        " again; **Back to draft** gives it to its author."
    )
    assert labels(shown) == ["Release", "Back to draft", "Cancel"]


@pytest.mark.parametrize(
    ("status", "count", "offered"),
    [
        (Status.REVIEW, 0, ["Approve", "Ask for changes", "Reject", "Withdraw", "Test to me"]),
        (Status.APPROVED, 0, ["Stop"]),
        (Status.SENDING, 1, []),
        (Status.HELD, 0, ["Release", "Back to draft", "Cancel"]),
        (Status.UNKNOWN, 1, DECIDE),
    ],
)
def test_a_frozen_card_says_by_whom_and_why_and_keeps_its_buttons(
    scene: Scene, status: Status, count: int, offered: list[str]
) -> None:
    broadcast = scene.broadcast(status, approvals=())
    sent = deliveries(count, DeliveryStatus.UNKNOWN if status is Status.UNKNOWN else DeliveryStatus.IN_FLIGHT)
    shown = scene.cards.review(broadcast, sent, freeze=FREEZE)
    frozen = only([field.value for field in shown.embeds[0].fields if field.name == "❄️ Frozen"])
    assert frozen == (
        "Sending of all servers is frozen by Lena: Wrong price. What is under way is finished;"
        " nothing new starts."
    )
    assert labels(shown) == offered
    thawed = scene.cards.review(broadcast, sent)
    assert not any(field.name == "❄️ Frozen" for field in thawed.embeds[0].fields)
    if status is Status.APPROVED:
        assert described(shown) == (
            "It does **not** go out while sending is frozen; **Stop** takes it back to draft."
        )
    else:
        assert described(shown) == described(thawed)


@pytest.mark.parametrize("status", [Status.SENT, Status.PARTIAL, Status.FAILED, Status.CANCELLED])
def test_what_has_ended_is_not_called_frozen(scene: Scene, status: Status) -> None:
    shown = scene.cards.review(scene.broadcast(status), [], freeze=FREEZE)
    assert not any(field.name == "❄️ Frozen" for field in shown.embeds[0].fields)


def test_what_may_be_a_second_push_says_so_wherever_it_is_decided_on(scene: Scene) -> None:
    again = scene.broadcast(Status.DRAFT, repeats=12)
    for shown in (
        scene.cards.draft(again),
        *(scene.cards.review(scene.broadcast(status, repeats=12), []) for status in Status),
    ):
        [warning] = [
            field.value or "" for field in shown.embeds[0].fields if "second push" in (field.name or "")
        ]
        assert warning.startswith("It sends #12 again, and nobody knew whether customers got #12")
        assert_fits(shown)
    assert "It **may be a second push**: nobody knew whether customers got #12: whoever" in (
        scene.cards.confirmation(again)
    )
    assert "second push" not in scene.cards.confirmation(scene.broadcast(Status.DRAFT))


@pytest.mark.parametrize(
    ("done", "bar"),
    [(0, "▱" * 12), (1, "▱" * 12), (13, "▰" * 6 + "▱" * 6), (24, "▰" * 11 + "▱"), (25, "▰" * 12)],
)
def test_the_bar_is_full_only_when_all_is_done(scene: Scene, done: int, bar: str) -> None:
    sent = [*deliveries(done, DeliveryStatus.ACCEPTED), *deliveries(25 - done, DeliveryStatus.PENDING)]
    shown = described(scene.cards.review(scene.broadcast(Status.SENDING), sent))
    assert shown.startswith(f"{bar} {done} of 25\n")


def test_a_single_request_has_no_bar(scene: Scene) -> None:
    shown = scene.cards.review(scene.broadcast(Status.SENDING), deliveries(1, DeliveryStatus.IN_FLIGHT))
    assert "▱" not in described(shown)


# --- nothing is missing ----------------------------------------------------------------------------


def test_every_view_has_only_buttons_that_outlive_a_restart(scene: Scene) -> None:
    """An ordinary item in the same view would make discord.py forget the class, on every card."""
    views = [buttons([one], scene.cards.subject(scene.broadcast())) for one in Action]
    views += [
        cast("discord.ui.View", scene.cards.review(scene.broadcast(status), [], current=current).view)
        for status in Status
        for current in (True, False)
    ]
    split = Notification(topic="t", in_app=Text(subject="a", content="b"))
    views += [
        cast("discord.ui.View", scene.cards.draft(scene.broadcast(Status.DRAFT, notification=one)).view)
        for one in (split, scene.broadcast().notification)
    ]
    for view in views:
        assert {type(item) for item in view.children} <= {ActionButton}
        assert view.timeout is None


def test_a_button_knows_itself_from_its_custom_id() -> None:
    template = ActionButton.__discord_ui_compiled_template__
    for action in LOOKS:
        subject = Subject(10**17, 10**8, "f" * LENGTH)
        match = template.fullmatch(ActionButton(action, subject).item.custom_id or "")
        assert match is not None
        known = (match["action"], match["number"], match["revision"], match["seal"])
        assert known == (action, *map(str, subject))


def test_every_status_has_a_headline_a_colour_and_a_situation(scene: Scene) -> None:
    assert set(HEADLINES) == set(COLOURS) == set(Status)
    situations = {
        status: scene.cards.review(scene.broadcast(status), [], current=True).embeds[0].description or ""
        for status in Status
    }
    assert all(situation.strip() for situation in situations.values())
    assert len({HEADLINES[status] for status in Status}) == len(Status)


def test_every_button_looks_like_something_and_does_something() -> None:
    assert set(PRESSES) == set(LOOKS)


def test_everything_that_may_be_done_to_a_broadcast_has_a_button_or_a_command() -> None:
    commands = {command.name for command in Notify.__cog_app_commands__}
    lists = {"show", "drafts", "queue", "history"}
    for action in PERMISSIONS:
        assert action in PRESSES or action in commands or (action is Action.LIST and lists <= commands)


def test_every_step_has_spoken_words() -> None:
    assert {*Step, "composed", "freeze", "unfreeze", "approve_template", "retract_template"} <= set(SPOKEN)


def test_every_echoed_step_has_a_sentence(scene: Scene) -> None:
    assert len({scene.cards.echo(scene.broadcast(), step).content for step in ECHOED}) == len(ECHOED)


# --- what is said, and when it is not ---------------------------------------------------------------


def approvals_field(status: Status, approvals: Sequence[Approval]) -> str | None:
    """Return what stands about approvals on the card of a broadcast that needs one."""
    scene = Scene.make("v1", "plain")
    scene.lifecycle.policy = parsed()
    broadcast = scene.broadcast(status, guild_id=policy.GUILD, audience="One", approvals=tuple(approvals))
    embeds = scene.cards.review(broadcast, [], current=True).embeds
    fields = [field for embed in embeds for field in embed.fields]
    return only([one.value for one in fields if (one.name or "").startswith("Approvals")])


@pytest.mark.parametrize("step", sorted(ECHOED))
def test_an_author_reads_the_reason_unless_the_sentence_says_it_already(step: Step) -> None:
    scene = Scene.make("v1", "plain")
    quoted = scene.cards.echo(scene.broadcast(reason="Too loud"), step).content
    assert ("\n> Too loud" in quoted) is (step is not Step.EXPIRE)
    assert ">" not in scene.cards.echo(scene.broadcast(reason=""), step).content.partition("\n")[2]


def test_a_card_tells_how_many_more_are_needed_only_while_they_are_asked_for() -> None:
    lena = Approval(approver=Person(7, "Lena"), at=NOW)
    assert (approvals_field(Status.REVIEW, ()) or "").startswith("1 more needed, from ")
    assert "more needed" not in (approvals_field(Status.REVIEW, [lena]) or "")
    assert approvals_field(Status.HELD, ()) == "none"


@pytest.mark.parametrize(("window", "said"), [("119s", "119 seconds"), ("2m", "2 minutes")])
def test_a_span_is_told_in_seconds_until_it_is_two_minutes(window: str, said: str) -> None:
    scene = Scene.make("v1", "plain")
    scene.lifecycle.policy = parsed(server(ONE, rules=rules(undo=window)))
    broadcast = scene.broadcast(guild_id=policy.GUILD, audience="One", approvals=())
    assert f"and {said} have passed" in scene.cards.confirmation(broadcast)


def test_what_was_cancelled_says_why_if_it_is_known() -> None:
    scene = Scene.make("v1", "plain")
    for reason, said in (
        ("Lena: too loud.", "It will not go out; Lena: too loud."),
        ("", "It will not go out."),
    ):
        shown = scene.cards.review(scene.broadcast(Status.CANCELLED, reason=reason), [], current=True)
        assert said in (shown.embeds[0].description or "").splitlines()
