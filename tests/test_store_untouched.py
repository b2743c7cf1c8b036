"""What is written of one thing changes nothing of any other: every row around it stays as it was."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import pytest
from sqlalchemy import inspect, select, update

from bot.audit.chain import HERALD, NewEvent
from bot.broadcast import Approval, Broadcast, Status
from bot.delivery import Delivery, DeliveryStatus, Request
from bot.freeze import Freeze
from bot.notification import Notification, Text
from bot.policy.model import ACCOUNT
from bot.schedule import Schedule
from bot.series import AHEAD, Every, Series, SeriesStatus
from bot.store import Access, Store, Transaction
from bot.store.conditions import LEAD
from bot.store.deliveries import Work
from bot.store.members import Answer
from bot.store.outbox import Card, Post, PostKind
from bot.store.tables import deliveries, metadata
from bot.value import Person
from tests.harness.deliveries import may_go, nothing_is_late
from tests.harness.outbox import cards_to_draw, posts_to_make

NOW: Final = datetime(2026, 11, 23, 9, 41, tzinfo=UTC)
LATER: Final = NOW + timedelta(minutes=5)
MAYA, OMAR, LENA, NOOR = (
    Person(101 + number, name) for number, name in enumerate(("Maya", "Omar", "Lena", "Noor"))
)
HOME, ABROAD = 1, 2
WORDS: Final = Notification(topic="news", all=Text(subject="We are live", content="Come in"))
REQUEST: Final = Request(method="POST", url="https://api.whop.com/x", headers={}, body=b"{}")
# A row, by its table and the values of its key.
Row = tuple[object, ...]


@pytest.fixture
async def store(database_url: str) -> AsyncIterator[Store]:
    """Two servers, three broadcasts, and more than one of everything about each."""
    async with Store.open(database_url) as opened:
        with opened.begin() as tx:
            for guild in (HOME, HOME, ABROAD):
                _fill(tx, guild)
            for guild, account in (
                (None, None),
                (None, "gold"),
                (None, "silver"),
                (HOME, None),
                (ABROAD, None),
            ):
                tx.freezes.add(Freeze(guild_id=guild, account=account, by=LENA, at=NOW, reason="a test"))
            for guild, fingerprint, person in (
                (HOME, "a", OMAR),
                (HOME, "a", LENA),
                (HOME, "b", OMAR),
                (ABROAD, "a", OMAR),
            ):
                tx.templates.approve(guild, fingerprint, approver=person, at=NOW)
                tx.members.saw(guild, person.id, {7}, at=NOW)
            for number in range(3):
                tx.use_interaction(number, at=NOW + timedelta(minutes=number))
        yield opened


def _fill(tx: Transaction, guild: int) -> None:
    draft = tx.broadcasts.add(
        guild_id=guild,
        author=MAYA if guild == HOME else NOOR,
        audience="Gold",
        notification=WORDS,
        fingerprint="a" * 64,
        origin_channel_id=5,
        at=NOW,
    )
    review = tx.broadcasts.change(draft, status=Status.REVIEW, at=NOW)
    assert review is not None
    for person in (OMAR, LENA):
        review = tx.broadcasts.approve(review, Approval(approver=person, at=NOW))
    tx.deliveries.add(draft, [REQUEST, REQUEST, REQUEST], account=ACCOUNT, at=NOW)
    claimed = tx.deliveries.claim(tx.deliveries.of(draft.id)[:2], owner="me", at=NOW)
    # Twice, so that an older attempt stands beside the newest.
    for one in claimed:
        tx.deliveries.settle(one, status=DeliveryStatus.PENDING, detail="", at=NOW, next_at=NOW)
    tx.deliveries.claim(tx.deliveries.of(draft.id)[:2], owner="me", at=NOW)
    for _ in range(2):
        tx.outbox.open_card(draft.id, channel_id=11, at=NOW)
    for _ in range(2):
        event = tx.audit.append(
            NewEvent(guild_id=guild, at=NOW, actor=HERALD, action="x", broadcast_id=draft.id)
        )
        tx.outbox.add_post(
            PostKind.AUDIT,
            guild_id=guild,
            channel_id=12,
            sequence=event.sequence,
            broadcast_id=draft.id,
            at=NOW,
        )
    tx.outbox.finish()


def rows(tx: Transaction) -> Mapping[Row, object]:
    """Return everything that stands in the database."""
    return {
        (table.name, *(row[column] for column in inspect(table).primary_key)): tuple(row.values())
        for table in metadata.sorted_tables
        for row in tx._connection.execute(select(table)).mappings()  # pyright: ignore[reportPrivateUsage]
    }


def touched(store: Store, change: Callable[[Transaction], object]) -> tuple[object, set[Row]]:
    """Return what a change answers, and the rows that are not as they were before it."""
    with store.begin() as tx:
        before = rows(tx)
        answer = change(tx)
        tx.finish()
        after = rows(tx)
    keys = before.keys() | after.keys()
    return answer, {key for key in keys if before.get(key) != after.get(key)}


# --- the first of everything -----------------------------------------------------------------------


def broadcast(tx: Transaction) -> Broadcast:
    return tx.broadcasts.get(1)


def delivery(tx: Transaction) -> Delivery:
    """Return one that is under way at its second attempt."""
    return tx.deliveries.get(1)


def waiting(tx: Transaction) -> Delivery:
    """Return one that was never tried."""
    return tx.deliveries.get(3)


def card(tx: Transaction) -> Card:
    return cards_to_draw(tx, NOW)[0]


def post(tx: Transaction) -> Post:
    return posts_to_make(tx, NOW)[0]


def settle(tx: Transaction, one: Delivery, **more: Any) -> bool:
    return tx.deliveries.settle(one, status=DeliveryStatus.UNKNOWN, detail="x", at=LATER, **more)


def check_again(tx: Transaction) -> bool:
    settle(tx, delivery(tx))
    return tx.deliveries.check_again(delivery(tx), at=LATER)


FIRST: Final = ("broadcasts", 1)
CHANGES: Final[Mapping[str, tuple[Callable[[Transaction], object], set[Row]]]] = {
    "a step": (lambda tx: tx.broadcasts.change(broadcast(tx), status=Status.APPROVED, at=LATER), {FIRST}),
    "an approval taken back": (
        lambda tx: tx.broadcasts.retract(broadcast(tx), OMAR.id),
        {("approvals", 1, OMAR.id)},
    ),
    "approvals voided": (
        lambda tx: tx.broadcasts.void_approvals(broadcast(tx)),
        {("approvals", 1, OMAR.id), ("approvals", 1, LENA.id)},
    ),
    "a claim": (
        lambda tx: tx.deliveries.claim([waiting(tx)], owner="me", at=LATER),
        {("deliveries", 3), ("attempts", 3, 1)},
    ),
    "an outcome": (lambda tx: settle(tx, delivery(tx)), {("deliveries", 1), ("attempts", 1, 2)}),
    "an unknown one asked about again": (check_again, {("deliveries", 1), ("attempts", 1, 2)}),
    "a new card": (
        lambda tx: tx.outbox.open_card(1, channel_id=11, at=LATER),
        {("cards", 2), ("cards", 7)},
    ),
    "a card to be drawn again": (lambda tx: tx.outbox.redraw_card(1, at=LATER), {("cards", 2)}),
    "a server's open cards": (
        lambda tx: tx.outbox.redraw_open_cards(HOME, at=LATER),
        {("cards", 2), ("cards", 4)},
    ),
    "a card drawn": (
        lambda tx: tx.outbox.card_drawn(card(tx), message_id=900, next_at=LATER),
        {("cards", 1)},
    ),
    "a card that Discord did not take": (
        lambda tx: tx.outbox.card_failed(card(tx), next_at=LATER),
        {("cards", 1)},
    ),
    "a post made": (
        lambda tx: tx.outbox.post_made(post(tx), message_id=900, channel_id=12, words="w"),
        {("posts", 1)},
    ),
    "a post that Discord did not take": (
        lambda tx: tx.outbox.post_failed(post(tx), next_at=LATER, trouble="x"),
        {("posts", 1)},
    ),
    "a template's approval taken back": (
        lambda tx: tx.templates.retract(HOME, "a", OMAR.id),
        {("template_approvals", HOME, "a", OMAR.id)},
    ),
    "a template's approval given": (
        lambda tx: tx.templates.approve(HOME, "b", approver=LENA, at=LATER),
        {("template_approvals", HOME, "b", LENA.id)},
    ),
    "roles seen": (
        lambda tx: tx.members.saw_all([Answer(HOME, OMAR.id, frozenset({8}), LATER, LATER)]),
        {("members", HOME, OMAR.id)},
    ),
    "a server's freeze lifted": (
        lambda tx: tx.freezes.remove(Freeze(guild_id=HOME, by=LENA, at=NOW, reason="")),
        {("freezes", HOME, "")},
    ),
    "the freeze of everything lifted": (
        lambda tx: tx.freezes.remove(Freeze(guild_id=None, by=LENA, at=NOW, reason="")),
        {("freezes", 0, "")},
    ),
    "an account's freeze lifted": (
        lambda tx: tx.freezes.remove(Freeze(guild_id=None, account="gold", by=LENA, at=NOW, reason="")),
        {("freezes", 0, "gold")},
    ),
    "interactions forgotten up to a moment": (
        lambda tx: tx.forget_interactions(before=NOW + timedelta(minutes=1)),
        {("interactions", 0)},
    ),
}


@pytest.mark.parametrize("change", CHANGES)
async def test_a_change_of_one_touches_no_other(store: Store, change: str) -> None:
    do, expected = CHANGES[change]
    _, found = touched(store, do)
    assert found == expected


async def test_a_step_writes_down_when_it_was_taken(store: Store) -> None:
    with store.begin() as tx:
        after = tx.broadcasts.change(broadcast(tx), status=Status.APPROVED, at=LATER)
        assert broadcast(tx) == after
        assert broadcast(tx).updated_at == LATER


async def test_a_lost_card_is_forgotten_alone(store: Store) -> None:
    with store.begin() as tx:
        for one in cards_to_draw(tx, NOW):
            tx.outbox.card_drawn(one, message_id=900 + one.id, next_at=NOW)
        tx.outbox.redraw_card(1, at=NOW)
        tx.finish()
        lost = card(tx)
    _, found = touched(store, lambda tx: tx.outbox.card_lost(lost, at=NOW))
    assert found == {("cards", lost.id)}


@pytest.mark.parametrize("gone", [True, False], ids=["gone", "edited"])
async def test_of_posts_only_the_line_that_was_tampered_with_is_told(store: Store, gone: bool) -> None:
    with store.begin() as tx:
        tx.outbox.add_post(PostKind.ECHO, guild_id=HOME, channel_id=5, at=NOW)
        tx.outbox.finish()
        *lines, echo = posts_to_make(tx, NOW)
        # Another channel may have a message of the same number.
        for one, message in [*zip(lines, (901, 902, 903, 904, 905, 906), strict=True), (echo, 901)]:
            tx.outbox.post_made(one, message_id=message, channel_id=12, words="w")
        told = tx.mirror.untold([901], gone=gone)
    _, found = touched(store, lambda tx: tx.mirror.tell(told, gone=gone, sequence=9))
    assert found == {("posts", 1)}
    with store.begin(Access.READ) as tx:
        assert (tx.mirror.told_in(HOME, 9), tx.mirror.told_in(ABROAD, 9)) == ([1], [])
        assert (tx.mirror.tampered(HOME), tx.mirror.tampered(ABROAD)) == (1, 0)


# --- what is no longer as it was read ---------------------------------------------------------------


def changed(one: Broadcast, **update: object) -> Broadcast:
    return one.model_copy(update=update)


STALE: Final[Mapping[str, Callable[[Transaction], object]]] = {
    "a broadcast of another status": lambda tx: tx.broadcasts.change(
        changed(broadcast(tx), status=Status.DRAFT), status=Status.APPROVED, at=LATER
    ),
    "a broadcast of an older revision": lambda tx: tx.broadcasts.change(
        changed(broadcast(tx), revision=0), status=Status.APPROVED, at=LATER
    ),
    "an approval of somebody who gave none": lambda tx: tx.broadcasts.retract(broadcast(tx), MAYA.id),
    "a claim of what is under way": lambda tx: tx.deliveries.claim([delivery(tx)], owner="you", at=LATER),
    "a claim of what was tried meanwhile": lambda tx: tx.deliveries.claim(
        [replace(waiting(tx), attempts=1)], owner="you", at=LATER
    ),
    "a question about what is not unknown": lambda tx: tx.deliveries.check_again(delivery(tx), at=LATER),
    "an outcome of another status": lambda tx: settle(
        tx, replace(delivery(tx), status=DeliveryStatus.PENDING)
    ),
    "an outcome of an older attempt": lambda tx: settle(tx, replace(delivery(tx), attempts=1)),
    "an outcome of another owner": lambda tx: settle(tx, replace(delivery(tx), owner="you")),
    "an outcome of nobody": lambda tx: settle(tx, replace(delivery(tx), owner=None)),
    "a template's approval of somebody who gave none": lambda tx: tx.templates.retract(HOME, "a", MAYA.id),
    "a template's approval that was given": lambda tx: tx.templates.approve(
        HOME, "a", approver=OMAR, at=LATER
    ),
    "an interaction that was used": lambda tx: tx.use_interaction(1, at=LATER),
}


@pytest.mark.parametrize("change", STALE)
async def test_what_is_no_longer_as_it_was_read_is_left_alone_and_that_is_told(
    store: Store, change: str
) -> None:
    answer, found = touched(store, STALE[change])
    assert not answer
    assert found == set()


async def test_an_attempt_that_was_concluded_is_written_again_only_by_its_late_answer(store: Store) -> None:
    def again(tx: Transaction, *, late: bool) -> bool:
        return settle(tx, delivery(tx), http_status=201, late=late)

    touched(store, lambda tx: settle(tx, delivery(tx)))
    # Its detail and status are as before, so that nothing but the attempt could change.
    assert touched(store, lambda tx: again(tx, late=False)) == (True, set())
    assert touched(store, lambda tx: again(tx, late=True)) == (True, {("attempts", 1, 2)})


async def test_the_true_answer_to_an_attempt_that_is_open_is_not_written_as_a_late_one(store: Store) -> None:
    _, found = touched(store, lambda tx: settle(tx, delivery(tx), late=True))
    assert found == {("deliveries", 1)}


# --- what is read of one server --------------------------------------------------------------------

READS: Final[Mapping[str, tuple[Callable[[Transaction], object], object]]] = {
    "a server's cards that wait": (lambda tx: tx.outbox.cards_waiting(ABROAD), 2),
    "a server's broadcasts": (lambda tx: tx.broadcasts.count(ABROAD), {"review": 1}),
    "a broadcast's deliveries": (lambda tx: [one.id for one in tx.deliveries.of(2)], [4, 5, 6]),
    "what became of what there is none of": (lambda tx: tx.deliveries.results([99]), {}),
    "who wrote it": (lambda tx: tx.revisions.writers(broadcast(tx)), [MAYA]),
    "the freeze of a server that has none of its own": (
        lambda tx: [one.scope for one in tx.freezes.standing()],
        [(None, None), (None, "gold"), (None, "silver"), (HOME, None), (ABROAD, None)],
    ),
}


async def test_the_next_moment_is_that_of_what_is_approved(store: Store) -> None:
    with store.begin() as tx:
        assert tx.broadcasts.next_moment() is None
        for number, status, due_at in (
            (1, Status.SENT, NOW),
            (2, Status.APPROVED, LATER),
            (3, Status.APPROVED, LATER + timedelta(minutes=1)),
        ):
            tx.broadcasts.change(tx.broadcasts.get(number), status=status, at=NOW, due_at=due_at)
        assert tx.broadcasts.next_moment() == LATER


@pytest.mark.parametrize("question", READS)
async def test_what_is_asked_of_one_is_answered_of_no_other(store: Store, question: str) -> None:
    ask, expected = READS[question]
    with store.begin(Access.READ) as tx:
        assert ask(tx) == expected


def thaw(tx: Transaction) -> None:
    for freeze in tx.freezes.standing():
        tx.freezes.remove(freeze)


def moved_on(tx: Transaction) -> None:
    """Let each broadcast and delivery have had its time, and be at its end, and nothing be frozen."""
    thaw(tx)
    for number in (1, 2, 3):
        tx.broadcasts.change(
            tx.broadcasts.get(number), status=Status.SENT, at=NOW, due_at=NOW, review_expires_at=NOW
        )
        for one in tx.deliveries.of(number):
            tx.deliveries.settle(one, status=DeliveryStatus.ACCEPTED, detail="", at=NOW)


def waiting_for_review(tx: Transaction) -> None:
    moved_on(tx)
    tx.broadcasts.change(broadcast(tx), status=Status.REVIEW, at=NOW, review_expires_at=LATER)


def approved_for(tx: Transaction) -> None:
    moved_on(tx)
    tx.broadcasts.change(broadcast(tx), status=Status.APPROVED, at=NOW, due_at=LATER, count_id=0)


def soon_to_go(tx: Transaction) -> None:
    moved_on(tx)
    tx.broadcasts.change(broadcast(tx), status=Status.APPROVED, at=NOW, due_at=LATER + LEAD)


def to_be_sent(tx: Transaction) -> None:
    moved_on(tx)
    tx.deliveries.settle(waiting(tx), status=DeliveryStatus.PENDING, detail="", at=NOW, next_at=LATER)


def to_be_repeated(tx: Transaction) -> None:
    moved_on(tx)
    draft = broadcast(tx)
    begun = Series(
        first=draft.id,
        guild_id=draft.guild_id,
        author=draft.author,
        audience=draft.audience,
        notification=draft.notification,
        schedule=Schedule(typed="then", zone="UTC").settled(LATER + AHEAD - timedelta(weeks=1)),
        every=Every.WEEK,
        times=2,
        until=None,
        made=0,
        next_at=None,
        status=SeriesStatus.RUNNING,
        reason="",
        origin_channel_id=draft.origin_channel_id,
        version=1,
    )
    tx.series.add(begun.after(1))


NOTHING: Final = Work(
    abandoned=False,
    expired=False,
    due=False,
    pending=False,
    late=False,
    refused=False,
    to_remind=False,
    to_make=False,
    to_count=False,
    to_read=False,
)
WAITS: Final[Mapping[str, tuple[Callable[[Transaction], None], Work]]] = {
    "an end": (moved_on, NOTHING),
    "a series": (to_be_repeated, NOTHING._replace(to_make=True)),
    "a review": (waiting_for_review, NOTHING._replace(expired=True)),
    "an approval": (approved_for, NOTHING._replace(due=True)),
    "a count": (soon_to_go, NOTHING._replace(to_count=True)),
    "a request": (to_be_sent, NOTHING._replace(pending=True)),
}


def work(tx: Transaction, now: datetime, *, carried: Sequence[int] = (), outlived: str | None = None) -> Work:
    return tx.deliveries.work(
        now, owner="me", carried=carried, outlived=outlived, deadlines=nothing_is_late(tx, now)
    )


@pytest.mark.parametrize("what", WAITS)
async def test_there_is_work_at_its_very_moment_and_none_for_what_is_at_its_end(
    store: Store, what: str
) -> None:
    prepare, expected = WAITS[what]
    with store.begin() as tx:
        prepare(tx)
        just_before = LATER - timedelta(microseconds=1)
        assert work(tx, just_before) == NOTHING
        assert work(tx, LATER) == expected


LONG_AGO: Final = datetime(2000, 1, 1, tzinfo=UTC)
LONG_AHEAD: Final = datetime(2200, 1, 1, tzinfo=UTC)
CLAIMS: Final[Mapping[str, tuple[dict[str, Any], bool]]] = {
    "one's own, which it carries": ({"owner": "me"}, False),
    "one's own, which it lost": ({"owner": "me", "lease_until": LONG_AHEAD}, True),
    "another's": ({"owner": "you"}, True),
    "another's, whose lease runs": ({"owner": "you", "lease_until": LONG_AHEAD}, False),
    "another's, of an older Herald, without a lease": ({"owner": "you", "lease_until": None}, True),
    "nobody's, of an older Herald": ({"owner": None}, True),
    "of a process that is gone, though its lease runs": (
        {"owner": "gone-7", "lease_until": LONG_AHEAD},
        True,
    ),
    "one that was settled": ({"owner": "you", "status": DeliveryStatus.UNKNOWN}, False),
}


@pytest.mark.parametrize("claim", CLAIMS)
async def test_a_claim_is_taken_over_only_from_those_who_will_not_tell_what_became_of_it(
    store: Store, claim: str
) -> None:
    stands, expected = CLAIMS[claim]
    with store.begin() as tx:
        tx._connection.execute(  # pyright: ignore[reportPrivateUsage]
            update(deliveries).where(deliveries.c.id == 1).values({"lease_until": LONG_AGO} | stands)
        )
        carried = [2, 4, 5, 7, 8] if "lost" in claim else [1, 2, 4, 5, 7, 8]
        found = [one.id for one in tx.deliveries.abandoned(owner="me", carried=carried, outlived="gone-")]
        assert found == ([1] if expected else [])
        assert work(tx, NOW, carried=carried, outlived="gone-").abandoned is expected


async def test_what_a_person_asks_about_again_is_sent_at_once(store: Store) -> None:
    with store.begin() as tx:
        tx.deliveries.settle(waiting(tx), status=DeliveryStatus.UNKNOWN, detail="", at=NOW, next_at=LATER)
        assert tx.deliveries.check_again(waiting(tx), at=NOW)
        assert waiting(tx) in may_go(tx, NOW)


def due(tx: Transaction, now: datetime) -> Sequence[object]:
    thaw(tx)
    approved = tx.broadcasts.change(broadcast(tx), status=Status.APPROVED, at=NOW, due_at=LATER, count_id=0)
    assert approved is not None
    return tx.broadcasts.due(now, deadlines=nothing_is_late(tx, now), limit=9)


def expired(tx: Transaction, now: datetime) -> Sequence[object]:
    tx.broadcasts.change(broadcast(tx), status=Status.REVIEW, at=NOW, review_expires_at=LATER)
    return tx.broadcasts.expired(now, limit=9)


def pending(tx: Transaction, now: datetime) -> Sequence[object]:
    thaw(tx)
    for one in range(1, 10):
        found = tx.deliveries.get(one)
        tx.deliveries.settle(found, status=DeliveryStatus.PENDING, detail="", at=NOW, next_at=LATER)
    return may_go(tx, now)


def undrawn(tx: Transaction, now: datetime) -> Sequence[object]:
    for one in cards_to_draw(tx, NOW):
        tx.outbox.card_failed(one, next_at=LATER)
    return cards_to_draw(tx, now)


def looked_at(tx: Transaction, now: datetime) -> Sequence[object]:
    for one in cards_to_draw(tx, NOW):
        tx.outbox.card_failed(one, next_at=LATER)
    return [one for one in tx.outbox.waiting(cards_until=now, posts_until=NOW).values() if one.cards]


def unposted(tx: Transaction, now: datetime) -> Sequence[object]:
    for one in posts_to_make(tx, NOW):
        tx.outbox.post_failed(one, next_at=LATER, trouble="x")
    return posts_to_make(tx, now)


@pytest.mark.parametrize(
    ("ask", "count"),
    [(due, 1), (expired, 1), (pending, 9), (undrawn, 6), (looked_at, 1), (unposted, 6)],
    ids=["due", "expired", "pending", "undrawn", "looked-at", "unposted"],
)
async def test_a_turn_comes_at_its_very_moment_and_not_before(
    store: Store, ask: Callable[[Transaction, datetime], Sequence[object]], count: int
) -> None:
    with store.begin() as tx:
        assert list(ask(tx, LATER - timedelta(microseconds=1))) == []
    with store.begin() as tx:
        assert len(ask(tx, LATER)) == count


# --- what is shown already -------------------------------------------------------------------------


async def test_what_is_shown_is_neither_looked_for_nor_shown_again(store: Store) -> None:
    with store.begin() as tx:
        for one in cards_to_draw(tx, NOW):
            tx.outbox.card_drawn(one, message_id=900, next_at=NOW)
        for one in posts_to_make(tx, NOW):
            tx.outbox.post_made(one, message_id=900, channel_id=12, words="w")
    with store.begin(Access.READ) as tx:
        assert tx.outbox.waiting(cards_until=LATER, posts_until=LATER) == {}
        assert (cards_to_draw(tx, LATER), posts_to_make(tx, LATER)) == ([], [])
        assert tx.outbox.cards_waiting(HOME) == 0


async def test_a_new_card_lets_the_older_one_say_at_once_that_it_is_out_of_date(store: Store) -> None:
    with store.begin() as tx:
        for one in cards_to_draw(tx, NOW):
            tx.outbox.card_drawn(one, message_id=900 + one.id, next_at=LATER + timedelta(hours=1))
        tx.outbox.open_card(1, channel_id=11, at=LATER)
        newer, older = cards_to_draw(tx, LATER)
    assert (older.id, older.current, older.next_at) == (2, False, LATER)
    assert (newer.message_id, newer.current, newer.next_at) == (None, True, LATER)
