"""The tables, as the newest migration leaves them; the triggers stand in 0002 and 0006."""

from datetime import UTC, datetime
from typing import Any, Final

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Date,
    DateTime,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    String,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
    false,
    text,
)
from sqlalchemy.engine import Dialect


class UtcDateTime(TypeDecorator[datetime]):
    """A moment: aware UTC outside, plain UTC in the database, alike on every database."""

    impl = DateTime
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Store UTC without an offset."""
        _ = dialect
        return value.astimezone(UTC).replace(tzinfo=None) if value is not None else None

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        """Return an aware UTC moment."""
        _ = dialect
        return value.replace(tzinfo=UTC) if value is not None else None


# SQLite numbers rows by itself only in a plain INTEGER key.
RowId = BigInteger().with_variant(Integer(), "sqlite")

metadata: Final = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

broadcasts: Final = Table(
    "broadcasts",
    metadata,
    Column("id", RowId, primary_key=True),
    Column("guild_id", BigInteger, nullable=False),
    Column("author_id", BigInteger, nullable=False),
    Column("author_name", String(100), nullable=False),
    Column("audience", String(100), nullable=False),
    Column("notification", Text, nullable=False),
    Column("status", String(16), nullable=False),
    Column("revision", Integer, nullable=False),
    Column("fingerprint", String(64), nullable=False),
    Column("origin_channel_id", BigInteger, nullable=False),
    Column("note", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("due_at", UtcDateTime),
    Column("review_expires_at", UtcDateTime),
    Column("created_at", UtcDateTime, nullable=False),
    Column("updated_at", UtcDateTime, nullable=False),
    # The broadcast of which nobody knows whether it went out, and which this one would send again.
    Column("repeats", BigInteger),
    # The broadcast that went out, and that this one corrects.
    Column("corrects", BigInteger),
    # Drawn at random whenever people are to decide anew: no copy of the database could repeat it.
    Column("nonce", String(32), nullable=False, server_default=""),
    # When those for whom it waits are to be reminded of it the next time.
    Column("remind_at", UtcDateTime, index=True),
    # Those with an equal fingerprint of which its approvers knew, by their numbers.
    Column("confirmed", JSON, nullable=False, server_default="[]"),
    # The time that was set for it, whole; and the moment by itself. Its fingerprint without them.
    Column("schedule", Text),
    Column("scheduled_at", UtcDateTime),
    Column("timeless", String(64)),
    # Submitted to go out in quiet hours, which takes one approval more.
    Column("in_quiet_hours", Boolean, nullable=False, server_default=false()),
    # Submitted to go out more often than the policy has it, which takes one approval more.
    Column("too_often", Boolean, nullable=False, server_default=false()),
    # The number of the first one of the series of which it is an occurrence, its own if it is that one.
    Column("series", BigInteger),
    # How many people it reaches, as approvers are shown it; and the count that it waits for before it starts.
    Column("counted", Text),
    Column("count_id", BigInteger),
    # What it lets one person read first: a draft's number, or 0 for the code of a link. Customers get none.
    Column("test_of", BigInteger),
    # The people of a list, where it is for these: how many, and by which digest.
    Column("listed", Text),
    Index(None, "status", "due_at"),
    Index(None, "guild_id", "status", "id"),
    Index(None, "guild_id", "author_id", "status", "id"),
    Index(None, "guild_id", "audience", "id"),
    Index(None, "status", "review_expires_at"),
    # What an approval refers to.
    Index(None, "id", "revision", "fingerprint", unique=True),
    Index(None, "fingerprint", "updated_at"),
    # By its day, so that a date is soon turned into the numbers between which a search goes through them.
    Index("ix_broadcasts_guild_id_day_id", "guild_id", text("date(updated_at)"), "id"),
    # Only of those that have a time of their own, as 0020 says.
    Index("ix_broadcasts_timeless", "timeless", "updated_at"),
    # Only of those of a series, as 0027 says.
    Index("ix_broadcasts_series", "series"),
    # Only of those that repeat one, as 0017 says.
    Index("ix_broadcasts_repeats", "repeats"),
    # Only of those that correct one, as 0025 says.
    Index("ix_broadcasts_corrects", "corrects"),
    # Only of tests, as 0029 says.
    Index("ix_broadcasts_tests", "guild_id", "author_id", "created_at"),
)

# How many people an audience has: each count with how far it has come, or what came of it.
counts: Final = Table(
    "counts",
    metadata,
    Column("id", RowId, primary_key=True),
    Column("guild_id", BigInteger, nullable=False),
    Column("account", String(100), nullable=False),
    # Of whom: by a digest over targets and way; and of which broadcast those found are the recipients.
    Column("digest", String(64), nullable=False),
    Column("broadcast_id", RowId, ForeignKey("broadcasts.id")),
    # Since when it is to be counted; none once that is over.
    Column("wanted_at", UtcDateTime),
    # What is still to be read, as it stands after the last page.
    Column("sources", Text, nullable=False),
    Column("so_far", Integer, nullable=False),
    Column("rows", Integer, nullable=False),
    Column("nameless", Integer, nullable=False),
    Column("pages", Integer, nullable=False),
    Column("tries", Integer, nullable=False),
    Column("next_at", UtcDateTime, nullable=False),
    Column("owner", String(64)),
    Column("lease_until", UtcDateTime),
    # What came of it the last time.
    Column("people", Integer),
    Column("why", Text, nullable=False),
    Column("counted_at", UtcDateTime),
    # Whether those that it has found are still kept one by one.
    Column("kept", Boolean, nullable=False),
    Index(None, "account", "digest", "id"),
    Index(None, "broadcast_id"),
    # Only of those that are to be counted, as 0028 says; and what belongs to no broadcast is counted once.
    Index("ix_counts_wanted", "next_at", "id"),
    Index("ix_counts_running", "account", "digest", unique=True),
    # Only of those that have recipients, as 0028 says.
    Index("ix_counts_kept", "counted_at"),
)

# Whom a count has found, each once, and the experience in which they can be reached by name.
recipients: Final = Table(
    "recipients",
    metadata,
    Column("count_id", RowId, ForeignKey("counts.id"), primary_key=True, autoincrement=False),
    Column("via", String(64), primary_key=True),
    Column("user_id", String(64), primary_key=True),
    UniqueConstraint("count_id", "user_id"),
)

# Lists of people that somebody brought along for a broadcast, and how far their check has come.
lists: Final = Table(
    "lists",
    metadata,
    Column("broadcast_id", RowId, ForeignKey("broadcasts.id"), primary_key=True, autoincrement=False),
    Column("account", String(100), nullable=False),
    Column("name", String(100), nullable=False),
    Column("experience", String(64)),
    Column("repeats", Integer, nullable=False),
    Column("at", UtcDateTime, nullable=False),
    # What is still to be read of who is in the experience, before anybody is asked about one by one.
    Column("sources", Text, nullable=False),
    # Raised by each step of its check, so that no two take the same.
    Column("step", Integer, nullable=False),
    Column("tries", Integer, nullable=False),
    Column("next_at", UtcDateTime, nullable=False),
    Column("checked_at", UtcDateTime),
    Column("dropped", Boolean, nullable=False, server_default=false()),
    # Only of those that are to be checked, as their migration says.
    Index("ix_lists_next_at", "next_at"),
)

# Their rows: whom each names, and what Whop says of them.
list_rows: Final = Table(
    "list_rows",
    metadata,
    Column("broadcast_id", RowId, ForeignKey("lists.broadcast_id"), primary_key=True, autoincrement=False),
    Column("position", Integer, primary_key=True, autoincrement=False),
    Column("number", Integer, nullable=False),
    Column("typed", String(100), nullable=False),
    Column("key", String(101), nullable=False),
    Column("state", String(8), nullable=False),
    Column("user_id", String(64)),
    Column("username", String(100), nullable=False, server_default=""),
    Column("why", Text, nullable=False, server_default=""),
    Index(None, "broadcast_id", "state", "position"),
    Index(None, "broadcast_id", "key"),
    Index(None, "broadcast_id", "user_id"),
)

# What goes out again and again, by its first broadcast.
series: Final = Table(
    "series",
    metadata,
    Column("first", RowId, ForeignKey("broadcasts.id"), primary_key=True, autoincrement=False),
    Column("guild_id", BigInteger, nullable=False),
    Column("author_id", BigInteger, nullable=False),
    Column("author_name", String(100), nullable=False),
    Column("audience", String(100), nullable=False),
    Column("notification", Text, nullable=False),
    Column("schedule", Text, nullable=False),
    Column("every", String(16), nullable=False),
    Column("times", Integer),
    Column("until", Date),
    Column("made", Integer, nullable=False),
    Column("next_at", UtcDateTime),
    # When the next one is to be put before its approvers; none while it is paused, or has ended.
    Column("make_at", UtcDateTime, index=True),
    Column("status", String(16), nullable=False),
    Column("reason", Text, nullable=False),
    Column("origin_channel_id", BigInteger, nullable=False),
    Column("version", Integer, nullable=False),
    Index(None, "guild_id", "status", "first"),
)

# How many broadcasts of a server have ended in each way, counted by a trigger: they grow without end.
ended: Final = Table(
    "ended",
    metadata,
    Column("guild_id", BigInteger, primary_key=True, autoincrement=False),
    Column("status", String(16), primary_key=True),
    Column("number", BigInteger, nullable=False),
)

revisions: Final = Table(
    "revisions",
    metadata,
    Column("broadcast_id", RowId, ForeignKey("broadcasts.id"), primary_key=True),
    Column("revision", Integer, primary_key=True, autoincrement=False),
    Column("editor_id", BigInteger, nullable=False),
    Column("editor_name", String(100), nullable=False),
    Column("notification", Text, nullable=False),
    Column("at", UtcDateTime, nullable=False),
    Column("schedule", Text),
    Column("audience", String(100), nullable=False, server_default=""),
)

# Whom drafts are shared with: they may write them, too.
shares: Final = Table(
    "shares",
    metadata,
    Column("broadcast_id", RowId, ForeignKey("broadcasts.id"), primary_key=True, autoincrement=False),
    Column("person_id", BigInteger, primary_key=True, autoincrement=False),
    Column("person_name", String(100), nullable=False),
    Column("at", UtcDateTime, nullable=False),
    Index(None, "person_id", "broadcast_id"),
)

approvals: Final = Table(
    "approvals",
    metadata,
    Column("broadcast_id", RowId, primary_key=True),
    Column("approver_id", BigInteger, primary_key=True, autoincrement=False),
    Column("approver_name", String(100), nullable=False),
    Column("revision", Integer, nullable=False),
    Column("fingerprint", String(64), nullable=False),
    Column("at", UtcDateTime, nullable=False),
    # Given to the template of that name, which lends it.
    Column("template", String(100)),
    # Whoever gave it typed the audience's name, since it counted as large.
    Column("named", Boolean, nullable=False, server_default=false()),
    # It counts for those that follow in a series, too; and for such a one, which it was given to.
    Column("covers", Boolean, nullable=False, server_default=false()),
    Column("series", BigInteger),
    ForeignKeyConstraint(["broadcast_id", "revision"], ["revisions.broadcast_id", "revisions.revision"]),
    # Nothing that was approved can change while the approval stands.
    ForeignKeyConstraint(
        ["broadcast_id", "revision", "fingerprint"],
        ["broadcasts.id", "broadcasts.revision", "broadcasts.fingerprint"],
    ),
    Index(None, "approver_id", "broadcast_id"),
)

# What broadcasts say, folded as searches are: a narrow row each, so that looking through all of them is soon
# done. It is written with every change of their words.
search_index: Final = Table(
    "search_index",
    metadata,
    Column("broadcast_id", RowId, ForeignKey("broadcasts.id"), primary_key=True, autoincrement=False),
    Column("guild_id", BigInteger, nullable=False),
    Column("topic", Text, nullable=False),
    Column("words", Text, nullable=False),
    Index(None, "guild_id", "topic", "broadcast_id"),
)


def _person_at_whop() -> tuple[Column[Any], ...]:
    """Return who somebody is in Discord and at Whop: by which account, and named in which experience."""
    return (
        Column("guild_id", BigInteger, primary_key=True, autoincrement=False),
        Column("account", String(100), primary_key=True),
        Column("person_id", BigInteger, primary_key=True, autoincrement=False),
        Column("person_name", String(100), nullable=False),
        Column("whop_id", String(80), nullable=False),
        Column("whop_name", String(100), nullable=False),
        Column("experience", String(80)),
        # Where that is so: in Whop's sandbox there are other people.
        Column("origin", Text, nullable=False),
    )


# Who has shown that they are somebody at Whop.
links: Final = Table(
    "links",
    metadata,
    *_person_at_whop(),
    Column("at", UtcDateTime, nullable=False),
    UniqueConstraint("guild_id", "account", "whop_id"),
)

# Who is asked for the code that they got there; only its digest is kept.
link_codes: Final = Table(
    "link_codes",
    metadata,
    *_person_at_whop(),
    Column("broadcast_id", BigInteger, nullable=False),
    Column("salt", String(32), nullable=False),
    Column("digest", String(64), nullable=False),
    Column("tries", Integer, nullable=False),
    Column("expires_at", UtcDateTime, nullable=False),
)

# Who says that a test of words with that fingerprint has reached them.
received: Final = Table(
    "received",
    metadata,
    Column("guild_id", BigInteger, primary_key=True, autoincrement=False),
    Column("person_id", BigInteger, primary_key=True, autoincrement=False),
    Column("fingerprint", String(64), primary_key=True),
    Column("broadcast_id", BigInteger, nullable=False),
    Column("at", UtcDateTime, nullable=False),
)

# What people looked for, by the mark that the buttons of its pages bear.
searches: Final = Table(
    "searches",
    metadata,
    Column("guild_id", BigInteger, primary_key=True, autoincrement=False),
    Column("mark", String(16), primary_key=True),
    Column("looked_for", Text, nullable=False),
    Column("at", UtcDateTime, nullable=False),
    Index(None, "at"),
)

template_approvals: Final = Table(
    "template_approvals",
    metadata,
    Column("guild_id", BigInteger, primary_key=True, autoincrement=False),
    Column("fingerprint", String(64), primary_key=True),
    Column("approver_id", BigInteger, primary_key=True, autoincrement=False),
    Column("approver_name", String(100), nullable=False),
    Column("at", UtcDateTime, nullable=False),
)

# Which broadcasts a template has lent its approval to, by the fingerprints of both.
loans: Final = Table(
    "loans",
    metadata,
    Column("broadcast_id", RowId, ForeignKey("broadcasts.id"), primary_key=True, autoincrement=False),
    Column("guild_id", BigInteger, nullable=False),
    Column("template", String(64), nullable=False),
    Column("fingerprint", String(64), nullable=False),
    Column("person_id", BigInteger, nullable=False),
    Column("at", UtcDateTime, nullable=False),
    # Whether it no longer counts: somebody stopped it, or another one that the template lent to.
    Column("void", Boolean, nullable=False),
    Index(None, "guild_id", "at"),
)

# What moderators keep for everyday use: as it stands, and all that it ever said.
everyday_templates: Final = Table(
    "everyday_templates",
    metadata,
    Column("id", RowId, primary_key=True),
    Column("guild_id", BigInteger, nullable=False),
    Column("name", String(100), nullable=False),
    Column("author_id", BigInteger, nullable=False),
    Column("author_name", String(100), nullable=False),
    Column("revision", Integer, nullable=False),
    Column("retired", Boolean, nullable=False),
    Index(None, "guild_id", "retired", "id"),
    # Only of those that are not retired, as 0023 says.
    Index("ix_everyday_templates_named", "guild_id", "name", unique=True),
)

everyday_revisions: Final = Table(
    "everyday_revisions",
    metadata,
    Column("template_id", RowId, ForeignKey("everyday_templates.id"), primary_key=True, autoincrement=False),
    Column("revision", Integer, primary_key=True, autoincrement=False),
    Column("editor_id", BigInteger, nullable=False),
    Column("editor_name", String(100), nullable=False),
    Column("outline", Text, nullable=False),
    Column("at", UtcDateTime, nullable=False),
)

# What people typed into the form that they were last refused, until it is taken.
kept_forms: Final = Table(
    "kept_forms",
    metadata,
    Column("guild_id", BigInteger, primary_key=True, autoincrement=False),
    Column("user_id", BigInteger, primary_key=True, autoincrement=False),
    Column("form", String(32), nullable=False),
    # What it was about, such as the number of a template.
    Column("number", BigInteger, nullable=False),
    Column("fields", JSON, nullable=False),
    Column("at", UtcDateTime, nullable=False),
)

deliveries: Final = Table(
    "deliveries",
    metadata,
    Column("id", RowId, primary_key=True),
    Column("broadcast_id", RowId, ForeignKey("broadcasts.id"), nullable=False),
    Column("position", Integer, nullable=False),
    Column("guild_id", BigInteger, nullable=False, server_default="0"),
    # Its place among what waits in its server: the first of each broadcast are next to each other.
    Column("turn", BigInteger, nullable=False, server_default="0"),
    # By which of Whop's accounts it goes out.
    Column("account", String(100), nullable=False, server_default="whop"),
    Column("method", String(8), nullable=False),
    Column("url", Text, nullable=False),
    Column("headers", JSON, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("status", String(16), nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("next_at", UtcDateTime, nullable=False),
    Column("detail", Text, nullable=False),
    # The process that claimed it last, and until when by the database's clock nobody else may take it over.
    Column("owner", String(64)),
    Column("lease_until", UtcDateTime),
    UniqueConstraint("broadcast_id", "position"),
    Index(None, "status", "next_at"),
    Index(None, "broadcast_id", "status"),
    # Only of those that wait, as 0014 says.
    Index("ix_deliveries_waiting", "guild_id", "turn", "next_at", "id"),
)

attempts: Final = Table(
    "attempts",
    metadata,
    Column("delivery_id", RowId, ForeignKey("deliveries.id"), primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("started_at", UtcDateTime, nullable=False),
    Column("finished_at", UtcDateTime),
    Column("http_status", Integer),
    Column("bytes_left", Boolean),
    Column("outcome", String(16)),
    Column("detail", Text, nullable=False),
    # By which the rate is counted.
    Index(None, "finished_at"),
)

audit_events: Final = Table(
    "audit_events",
    metadata,
    Column("guild_id", BigInteger, primary_key=True, autoincrement=False),
    Column("sequence", BigInteger, primary_key=True, autoincrement=False),
    Column("at", UtcDateTime, nullable=False),
    Column("actor_id", BigInteger, nullable=False),
    Column("actor_name", String(100), nullable=False),
    Column("action", String(32), nullable=False),
    Column("broadcast_id", BigInteger),
    Column("proof", String(16), nullable=False),
    Column("detail", Text, nullable=False),
    Column("previous", String(64), nullable=False),
    Column("digest", String(64), nullable=False),
    # A chain cannot fork.
    UniqueConstraint("guild_id", "previous"),
    Index(None, "broadcast_id", "sequence"),
    Index(None, "guild_id", "actor_id", "sequence"),
    Index(None, "guild_id", "proof", "sequence"),
    # By its day, so that a date is soon turned into the lines between which a search goes through the chain.
    Index("ix_audit_events_guild_id_day_sequence", "guild_id", text("date(at)"), "sequence"),
)

cards: Final = Table(
    "cards",
    metadata,
    Column("id", RowId, primary_key=True),
    Column("broadcast_id", RowId, ForeignKey("broadcasts.id"), nullable=False),
    Column("channel_id", BigInteger, nullable=False),
    Column("message_id", BigInteger),
    Column("current", Boolean, nullable=False),
    # A card is to be drawn again while what is wanted is newer than what is shown.
    Column("wanted", Integer, nullable=False),
    Column("shown", Integer, nullable=False),
    Column("failures", Integer, nullable=False),
    Column("next_at", UtcDateTime, nullable=False),
    # How often its message was lost and another one wanted: each is a message of its own for Discord.
    Column("remade", Integer, nullable=False, server_default="0"),
    Index(None, "broadcast_id"),
    Index(None, "message_id"),
    # Only of those that are to be drawn, as 0008 says: an index that names a dialect here would load it.
    Index("ix_cards_unshown", "next_at", "channel_id"),
    Index("ix_cards_of_channel", "channel_id", "next_at"),
)

posts: Final = Table(
    "posts",
    metadata,
    Column("id", RowId, primary_key=True),
    Column("guild_id", BigInteger, nullable=False),
    Column("channel_id", BigInteger, nullable=False),
    Column("kind", String(8), nullable=False),
    Column("broadcast_id", BigInteger),
    Column("sequence", BigInteger),
    Column("step", String(16), nullable=False),
    Column("message_id", BigInteger),
    Column("done", Boolean, nullable=False),
    Column("failures", Integer, nullable=False),
    Column("next_at", UtcDateTime, nullable=False),
    # What goes first in its channel: the lower.
    Column("rank", SmallInteger, nullable=False, server_default="2"),
    Column("remade", Integer, nullable=False, server_default="0"),
    # Why it was not taken when it was last tried.
    Column("trouble", Text),
    # The SHA-256 of its words as Discord took them.
    Column("words", String(64)),
    # The lines of the record that tell, and so when, that it was found edited or gone.
    Column("edited_in", BigInteger),
    Column("gone_in", BigInteger),
    # Only of those that are still to be made, as 0008 says.
    Index("ix_posts_undone", "next_at", "channel_id"),
    Index("ix_posts_of_channel", "channel_id", "rank", "id"),
    Index(None, "message_id"),
    Index(None, "guild_id", "sequence"),
    Index(None, "guild_id", "done", "kind"),
    # Only of those that were found edited or gone, as 0006 says.
    Index("ix_posts_told", "guild_id"),
)

# What Discord last said of someone's roles, null if they are no longer a member; and what they set.
members: Final = Table(
    "members",
    metadata,
    Column("guild_id", BigInteger, primary_key=True, autoincrement=False),
    Column("user_id", BigInteger, primary_key=True, autoincrement=False),
    Column("roles", JSON(none_as_null=True)),
    # Until when Discord keeps them from acting.
    Column("timed_out_until", UtcDateTime),
    Column("at", UtcDateTime, nullable=False),
    # By which clocks they type times, where they have said so.
    Column("time_zone", String(64)),
)

# Each interaction of Discord's changes something once, however often it comes.
interactions: Final = Table(
    "interactions",
    metadata,
    Column("id", BigInteger, primary_key=True, autoincrement=False),
    Column("at", UtcDateTime, nullable=False),
    Index(None, "at"),
)

# What people are refused without a pause, while it goes on.
refusals: Final = Table(
    "refusals",
    metadata,
    Column("guild_id", BigInteger, primary_key=True, autoincrement=False),
    Column("user_id", BigInteger, primary_key=True, autoincrement=False),
    Column("user_name", String(100), nullable=False),
    Column("since", UtcDateTime, nullable=False),
    Column("last", UtcDateTime, nullable=False),
    Column("count", Integer, nullable=False),
    Column("until", UtcDateTime, nullable=False),
    Index(None, "until"),
)

# The freezes that stand: of a server, of an account, or of everything, which is neither.
freezes: Final = Table(
    "freezes",
    metadata,
    Column("guild_id", BigInteger, primary_key=True, autoincrement=False),
    Column("account", String(100), primary_key=True),
    Column("by_id", BigInteger, nullable=False),
    Column("by_name", String(100), nullable=False),
    Column("at", UtcDateTime, nullable=False),
    Column("reason", Text, nullable=False),
)

facts: Final = Table(
    "facts",
    metadata,
    Column("name", String(100), primary_key=True),
    Column("value", Text, nullable=False),
)

# How far it has come: whoever knows a mark tells a copy of earlier times by its lack.
history: Final = Table(
    "history",
    metadata,
    Column("counter", BigInteger, primary_key=True, autoincrement=False),
    Column("mark", String(64), nullable=False),
    # Which server, database and timeline it stood in then.
    Column("identity", String(100), nullable=False),
)
