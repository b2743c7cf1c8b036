"""A test goes to one person, through the way that everything takes, and concerns nobody else."""

from datetime import UTC, datetime, timedelta

from bot.agenda import Waits
from bot.broadcast import Broadcast, Status
from bot.filter import Filter
from bot.notification import Notification, Text
from bot.store import Store, Transaction
from bot.value import Person

NOW = datetime(2026, 11, 23, 9, 41, tzinfo=UTC)
MAYA = Person(101, "Maya")
GUILD = 7
WORDS = Notification(topic="news", all=Text(subject="[TEST] We are live", content="Come in"))


def add(tx: Transaction) -> Broadcast:
    return tx.tests.add(
        guild_id=GUILD,
        author=MAYA,
        audience="Gold members",
        notification=WORDS,
        fingerprint="f1",
        test_of=12,
        channel_id=3,
        at=NOW,
    )


def found(tx: Transaction) -> list[object]:
    """Return whatever any list, search, count or comparison knows."""
    looked_for = [Filter(), Filter(person=MAYA.id), Filter(audience="Gold members"), Filter(words="live")]
    statuses = [*Status]
    return [
        *(tx.broadcasts.in_status(GUILD, statuses, only=only, limit=9) for only in looked_for),
        tx.broadcasts.drafts_of(GUILD, MAYA.id, limit=9),
        tx.broadcasts.alike(["f1"], statuses=statuses, since=NOW - timedelta(days=9)),
        tx.broadcasts.count(GUILD),
        list[Waits](tx.agenda.waiting(GUILD)),
        tx.search_index.topics(GUILD),
    ]


async def test_no_list_search_count_or_comparison_knows_of_a_test(database_url: str) -> None:
    async with Store.open(database_url) as store:
        with store.begin() as tx:
            nothing = found(tx)
            test = add(tx)
            assert tx.broadcasts.get(test.id) == test
            assert found(tx) == nothing
        for status in (Status.UNKNOWN, Status.SENT):
            with store.begin() as tx:
                assert tx.broadcasts.change(tx.broadcasts.get(test.id), status=status, at=NOW)
            with store.begin() as tx:
                assert found(tx) == nothing


async def test_what_was_received_is_known_by_the_words_and_by_the_person(database_url: str) -> None:
    async with Store.open(database_url) as store:
        with store.begin() as tx:
            test = add(tx)
            tx.tests.receive(test, at=NOW)
            tx.tests.receive(test, at=NOW)
            asked = [(GUILD, 101, "f1"), (GUILD, 101, "f2"), (GUILD, 102, "f1"), (GUILD + 1, 101, "f1")]
            assert [tx.tests.has_reached(*one) for one in asked] == [True, False, False, False]
            assert tx.tests.count(GUILD, 101, since=NOW - timedelta(hours=1)) == 1
            assert tx.tests.count(GUILD, 101, since=NOW) == 0
            assert tx.tests.count(GUILD, 102, since=NOW - timedelta(hours=1)) == 0
