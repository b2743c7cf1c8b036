"""What is looked for is found, whoever typed it how: nothing that fits is left out, nothing else is shown."""

from collections.abc import AsyncIterator, Mapping
from datetime import UTC, date, datetime, timedelta
from random import Random
from typing import Final
from zoneinfo import ZoneInfo

import discord
import pytest
import pytest_asyncio
from sqlalchemy import select

from bot.broadcast import ENDED, Approval, Broadcast, Status
from bot.characters import folded
from bot.chat.channels import ChannelReader
from bot.errors import NotReady
from bot.filter import EVERYTHING, WORDS_LIMIT, Filter, Known, read_filter
from bot.notification import Notification, Text
from bot.sandbox.sandbox import Sandbox, answer, button_labels, response
from bot.service import PAGE
from bot.service.searching import FORGOTTEN
from bot.store import Access, Store, Transaction
from bot.store.tables import searches
from bot.value import Person
from cogs.lists import ListButton

NOW: Final = datetime(2026, 11, 23, 9, 41, tzinfo=UTC)
HOME, ABROAD = 1, 2
PEOPLE: Final = [Person(101 + number, name) for number, name in enumerate(("Maya", "Omar", "Lena"))]
MAYA: Final = PEOPLE[0]
STATUSES: Final = [*sorted(ENDED), Status.UNKNOWN]


@pytest_asyncio.fixture
async def store(database_url: str) -> AsyncIterator[Store]:
    async with Store.open(database_url) as opened:
        yield opened


def add(
    tx: Transaction,
    content: str,
    *,
    subject: str = "Hello",
    guild: int = HOME,
    author: Person = MAYA,
    audience: str = "Gold",
    topic: str = "news",
) -> Broadcast:
    words = Notification(topic=topic, all=Text(subject=subject, content=content))
    return tx.broadcasts.add(
        guild_id=guild,
        author=author,
        audience=audience,
        notification=words,
        fingerprint="a" * 64,
        origin_channel_id=5,
        at=NOW,
    )


def found(tx: Transaction, only: Filter) -> list[int]:
    return [one.id for one in tx.broadcasts.in_status(HOME, [Status.DRAFT, *STATUSES], only=only, limit=1000)]


# --- words -----------------------------------------------------------------------------------------

# What stands there, what finds it, and what does not.
SAID: Final[Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]]] = {
    "The market opens at nine": (("MARKET", "nine the", "ark", "  opens   at "), ("closed", "market closed")),
    "Prêt à l'été, Ängström": (("pret", "PRÊT", "ete", "ÉTÉ", "angstrom", "e\u0301te\u0301"), ("pretty",)),
    "Straße in Łódź und İzmir": (("STRASSE", "lodz", "ŁÓDŹ", "izmir", "IZMIR"), ("strase",)),
    "50% off_today \\o/ [new]": (
        ("50%", "off_today", "_", "\\o/", "/", "[new]"),
        ("50_", "o%t", "50%%"),
    ),
    "本日市場が開きます": (("市場", "開き", "本日市場が"), ("休場", "市開")),
    "ﾃｽﾄ ＦＵＬＬ ｗｉｄｔｈ": (("テスト", "full WIDTH"), ("テキスト",)),
    "حِفْظُ السَّلَامِ في الـسـوق": (("حفظ", "السلام", "السوق"), ("حفر",)),
    "שָׁלוֹם לכולם": (("שלום", "שָׁלוֹם"), ("שלט",)),
    "हिन्दी में कीमत": (("हिन्दी", "कीमत"), ("कमत",)),
    "ราคาวันนี้": (("วันนี้", "ราคา"), ("วานนี้",)),
    "так что, Ёлка": (("елка", "ЁЛКА", "ТАК"), ("палка",)),
    "Ready 🚀 now\u200b!": (("🚀", "now!", "ready"), ("🛑",)),
    "한국어 소식": (("한국", "소식"), ("중국",)),
}


async def test_words_are_found_in_whatever_case_accents_and_script_and_nothing_is_a_pattern(
    store: Store,
) -> None:
    with store.begin() as tx:
        numbers = {content: add(tx, content).id for content in SAID}
        add(tx, "Something else, which nobody looks for")
        add(tx, next(iter(SAID)), guild=ABROAD)
    with store.begin(Access.READ) as tx:
        for content, (finding, missing) in SAID.items():
            for words in finding:
                assert numbers[content] in found(tx, Filter(words=words)), words
                assert numbers[content] in [
                    one.id for one in tx.broadcasts.drafts_of(HOME, MAYA.id, words=words, limit=100)
                ], words
            for words in missing:
                assert found(tx, Filter(words=words)) == [], words
                assert tx.broadcasts.drafts_of(HOME, MAYA.id, words=words, limit=9) == []


def test_each_word_stands_within_one_text_and_folding_changes_nothing_twice() -> None:
    for content in SAID:
        assert folded(folded(content)) == folded(content)
    assert folded("  A\n\tB\u2028c ") == "a b c"


async def test_all_that_customers_read_is_searched_and_only_as_it_stands_now(store: Store) -> None:
    with store.begin() as tx:
        draft = add(tx, "First words", subject="Subject")
        words = Notification(
            topic="promo",
            in_app=Text(subject="Feed", content="in the feed"),
            mobile=Text(subject="Phone", content="on the phone"),
            subtitle="Below",
            link="https://whop.com/live",
        )
        assert found(tx, Filter(words="first subject")) == [draft.id]
        tx.broadcasts.change(
            draft, status=Status.DRAFT, at=NOW, revision=2, notification=words, fingerprint="b"
        )
        for said in ("feed", "phone", "below", "whop.com/live", "feed below"):
            assert found(tx, Filter(words=said)) == [draft.id], said
        assert found(tx, Filter(words="first")) == []
        assert found(tx, Filter(words="phone", topic="promo")) == [draft.id]
        assert found(tx, Filter(topic="news")) == []
        assert tx.search_index.topics(HOME) == ["promo"]


# --- all filters -----------------------------------------------------------------------------------


def lay(tx: Transaction, random: Random) -> list[Broadcast]:
    """Fill two servers with all kinds of broadcasts, and return those of the first."""
    for _ in range(120):
        one = add(
            tx,
            " ".join(random.choices(("market", "open", "closed", "café", "市場"), k=2)),
            guild=random.choice((HOME, HOME, ABROAD)),
            author=random.choice(PEOPLE),
            audience=random.choice(("Gold", "Silver")),
            topic=random.choice(("news", "promo")),
        )
        # As it may have gone over in both zones, a second before midnight and at it.
        at = NOW + random.choice((-1, 0, 1)) * timedelta(hours=14, minutes=19)
        for approver in random.sample([p for p in PEOPLE if p != one.author], k=random.randint(0, 2)):
            one = tx.broadcasts.approve(one, Approval(approver=approver, at=at))
        tx.broadcasts.change(one, status=random.choice(STATUSES), at=at)
    return [one for one in tx.broadcasts.all_of(range(1, 121)) if one.guild_id == HOME]


def fits(one: Broadcast, only: Filter, zone: ZoneInfo) -> bool:
    """Tell whether it is meant, as slowly and plainly as one can."""
    changed = one.updated_at.astimezone(zone).date()
    said = folded("\n".join(one.notification.words()))
    return (
        all(word in said for word in folded(only.words or "").split())
        and only.person in {None, one.author.id, *(approval.approver.id for approval in one.approvals)}
        and only.audience in {None, one.audience}
        and only.topic in {None, one.notification.topic}
        and (only.since is None or changed >= only.since)
        and (only.until is None or changed <= only.until)
    )


async def test_every_search_finds_what_fits_newest_first_and_its_pages_leave_nothing_out(
    store: Store,
) -> None:
    random = Random(20261123)
    days = [None, None, date(2026, 11, 22), date(2026, 11, 23), date(2026, 11, 24), date(2026, 11, 1)]
    zones = [ZoneInfo(name) for name in ("UTC", "Pacific/Kiritimati", "America/Los_Angeles")]
    with store.begin() as tx:
        past = lay(tx, random)
        for _ in range(150):
            only = Filter(
                words=random.choice((None, "open", "CAFE", "市", "market open", "nothing")),
                person=random.choice((None, None, *(one.id for one in PEOPLE), 999)),
                audience=random.choice((None, None, "Gold", "Bronze")),
                topic=random.choice((None, None, "news", "none")),
                since=random.choice(days),
                until=random.choice(days),
            )
            zone = random.choice(zones)
            expected = [one.id for one in reversed(past) if fits(one, only, zone)]
            whole = tx.broadcasts.in_status(HOME, STATUSES, only=only, zone=zone, limit=200)
            assert [one.id for one in whole] == expected, only
            pages = list[int]()
            while more := tx.broadcasts.in_status(
                HOME, STATUSES, only=only, zone=zone, limit=7, before=pages[-1] if pages else 10**9
            ):
                pages += [one.id for one in more]
            assert pages == expected, only
            middle = expected[len(expected) // 2] if expected else 0
            newer = tx.broadcasts.in_status(HOME, STATUSES, only=only, zone=zone, limit=7, after=middle)
            assert [one.id for one in newer] == [one for one in reversed(expected) if one > middle][:7], only


# --- what is typed ---------------------------------------------------------------------------------

KNOWN: Final = Known(("Gold members", "Zoë’s list"), {"id_1": "Announcements"}, date(2026, 11, 23))
READ: Final = [
    ({"words": "  market  "}, Filter(words="market")),
    ({"person": "<@104900000000000101>"}, Filter(person=104900000000000101)),
    ({"audience": "Gold members"}, Filter(audience="Gold members")),
    ({"audience": "Zoe\u0308’s list"}, Filter(audience="Zoë’s list")),
    ({"topic": "Announcements"}, Filter(topic="id_1")),
    ({"topic": "id_1"}, Filter(topic="id_1")),
    (
        {"since": "2026-11-01", "until": "2026-11-01"},
        Filter(since=date(2026, 11, 1), until=date(2026, 11, 1)),
    ),
    ({"since": "7"}, Filter(since=date(2026, 11, 16))),
    ({"since": "9999d"}, Filter(since=date(2000, 1, 1))),
    ({"outcome": "Sent"}, Filter(outcome=Status.SENT)),
    ({"outcome": "held", "words": None, "topic": " "}, Filter(outcome=Status.HELD)),
]
REFUSED: Final = [
    ({"since": "tomorrow"}, "since: “tomorrow” is no date: write one such as 2026-11-23, or a number"),
    ({"until": "2026-02-30"}, "until: “2026-02-30” is no date: write one such as 2026-11-23, or a number"),
    ({"since": "٢٠٢٦-11-01"}, "is no date"),
    ({"since": "0001-01-01"}, "is no date"),
    ({"until": "9999-12-31"}, "is no date"),
    ({"since": "2026-11-02", "until": "2026-11-01"}, "until: it lies before since: swap the two."),
    (
        {"audience": "Gold"},
        "audience: there is no “Gold”: choose one of them (“Gold members”, “Zo",
    ),
    ({"topic": "x"}, "topic: there is no “x”: choose one of them (“Announcements”)."),
    ({"outcome": "draft"}, "outcome: there is no “draft”: choose one of them (“review”,"),
    ({"person": "Maya"}, "person: “Maya” is nobody: choose a member, or write an id."),
    ({"words": "x" * (WORDS_LIMIT + 3)}, "words: at most 120 characters can be looked for: leave 3 out."),
]


def test_what_is_typed_is_read_or_refused_in_one_sentence_that_says_what_to_mend() -> None:
    for typed, expected in READ:
        assert read_filter(typed, KNOWN) == expected
    for typed, sentence in REFUSED:
        with pytest.raises(NotReady) as caught:
            read_filter(typed, KNOWN)
        assert sentence in str(caught.value)
        assert str(caught.value).endswith(".")
        assert "\n" not in str(caught.value)


# --- in Discord ------------------------------------------------------------------------------------


async def many(sandbox: Sandbox, *, every: int, number: int) -> None:
    """Let so many broadcasts be written and cancelled, of which some say the same."""
    service, maya = sandbox.herald.service, sandbox.actor("Maya")
    for one in range(1, number + 1):
        subject = "We are closed" if one % every else "We are open"
        words = Notification(topic="announcements", all=Text(subject=subject, content="Come in"))
        await service.compose(maya, audience="Gold members", notification=words, channel_id=1)
        await service.cancel(maya, one)


def numbers(labels: list[str]) -> list[int]:
    return [int(label.removeprefix("Open #")) for label in labels if label.startswith("Open")]


async def put(sandbox: Sandbox, button: ListButton) -> discord.Message:
    """Put a button that turns a page where everybody can press it."""
    view = discord.ui.View(timeout=None)
    view.add_item(button)
    return await sandbox.herald.client.get_partial_messageable(sandbox.channel("review").id).send(view=view)


def marks(sandbox: Sandbox, number: int) -> list[str]:
    """Return the marks of the searches that are kept, which are so many."""
    with sandbox.herald.store.begin(Access.READ) as tx:
        kept = tx.broadcasts._connection.scalars(select(searches.c.mark)).all()  # pyright: ignore[reportPrivateUsage]
    assert len(kept) == number
    return list(kept)


async def test_a_search_is_turned_page_by_page_after_a_restart_too(sandbox: Sandbox) -> None:
    await many(sandbox, every=2, number=2 * PAGE + 4)
    maya, channel = sandbox.person("Maya"), sandbox.channel("moderators")
    shown = await maya.slash(channel, "notify history", words="ÔPEN", audience="Gold members", since="1")
    assert "“ÔPEN”, for Gold members, since 2" in answer(shown)
    last = 2 * PAGE + 4
    assert numbers(button_labels(response(shown))) == [*range(last, last - 2 * PAGE, -2)]
    await sandbox.restart()
    shown = await sandbox.person("Maya").click(response(shown), label="Older")
    assert numbers(button_labels(response(shown))) == [4, 2]
    assert "“ÔPEN”, for Gold members, since 2" in answer(shown)
    assert "We are closed" not in answer(shown)
    shown = await sandbox.person("Maya").click(response(shown), label="Newer")
    assert numbers(button_labels(response(shown))) == [*range(last, last - 2 * PAGE, -2)]
    search = ListButton("history", 4, search=marks(sandbox, 1)[0])
    refused = answer(await sandbox.person("Sam").click(await put(sandbox, search), label="Older"))
    assert "it takes the role" in refused


async def test_a_row_says_what_became_of_it_with_its_numbers(sandbox: Sandbox) -> None:
    await sandbox.submit(await sandbox.compose(subject="Queued"))
    await sandbox.press("Omar", "Approve")
    await sandbox.wait(timedelta(seconds=11))
    maya, channel = sandbox.person("Maya"), sandbox.channel("moderators")
    omar = sandbox.person("Omar")
    said = answer(
        await maya.slash(
            channel, "notify history", words="queue", outcome="sent", person=sandbox.person("Omar")
        )
    )
    assert f"“queue”, by <@{omar.id}>, accepted by Whop" in said
    assert "Accepted by Whop · Queued" in said
    assert "· 1 request" in said
    nothing = answer(await maya.slash(channel, "notify history", words="queue", outcome="failed"))
    assert nothing == "Nothing fits what you look for: “queue”, not accepted by Whop."
    held = answer(await maya.slash(channel, "notify history", outcome="held"))
    assert held == "Nothing fits what you look for: held."
    wrong = answer(await maya.slash(channel, "notify history", until="soon"))
    assert wrong.count(".") == 1
    assert "until: “soon” is no date: write one such as 2026-11-23" in wrong


async def test_what_is_offered_to_search_by_is_offered_to_those_alone_who_may_list(v5: Sandbox) -> None:
    channel = v5.channel("moderators")
    for option, typed, label in (
        ("audience", "gold", "Gold members"),
        ("topic", "ann", "Announcements"),
        ("outcome", "partly", "partial · partly accepted by Whop"),
    ):
        offered = await v5.person("Maya").autocomplete(channel, "notify history", option, typed)
        assert label in [one["name"] for one in offered], option
        assert not list(await v5.person("Sam").autocomplete(channel, "notify history", option, typed)), option


async def test_pages_whose_search_is_forgotten_say_so_and_young_ones_are_kept(v5: Sandbox) -> None:
    store, guild = v5.herald.store, v5.world.guild.id
    old, young = Filter(words="old"), Filter(words="young")
    with store.begin() as tx:
        forgotten, kept = [tx.searches.keep(guild, one, at=v5.clock()) for one in (old, young)]
        assert tx.searches.keep(guild, old, at=v5.clock() - timedelta(days=91)) == forgotten
        assert tx.searches.find(guild, forgotten) == old
        assert tx.searches.find(ABROAD, forgotten) is None
    await v5.herald.watcher.compare(ChannelReader(v5.herald.client))
    with store.begin(Access.READ) as tx:
        assert [tx.searches.find(guild, one) for one in (forgotten, kept)] == [None, young]
    assert marks(v5, 1) == [kept]
    button = ListButton("history", 7, search=forgotten)
    said = await v5.person("Maya").click(await put(v5, button), label="Older")
    assert answer(said) == FORGOTTEN


def test_looking_for_nothing_leaves_nothing_out() -> None:
    assert read_filter({"words": " ", "since": None}, KNOWN) == EVERYTHING
