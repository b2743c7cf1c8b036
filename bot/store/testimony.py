"""What the rest of the database knows that a line of the record should tell."""

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from sqlalchemy import ColumnElement, Connection, Table, and_, exists, func, or_, select

from bot.audit.mirror import name_lines
from bot.notification import proof_code
from bot.sentences import listed
from bot.store.outbox import PostKind
from bot.store.tables import approvals, audit_events, broadcasts, posts, shares, template_approvals

_PROOF_LENGTH: Final = len(proof_code("0" * 64))


class Contradiction(NamedTuple):
    """Something that a server's database knows and its record does not tell, as a sentence without an end."""

    guild_id: int
    what: str


class Testimony:
    """What must have happened, by all that is no line of the record.

    Whoever cuts the record off has to find and change all of this too: it is no proof, but costs nothing.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def against(self, guild_id: int | None) -> list[Contradiction]:
        """Return what speaks against the record of one server, or of all."""
        found = [*self._posted(guild_id), *self._moved(guild_id), *self._approved(guild_id)]
        found += self._shared(guild_id)
        return sorted([*found, *self._approved_beforehand(guild_id)], key=lambda one: one.guild_id)

    def _posted(self, guild_id: int | None) -> Iterator[Contradiction]:
        """Yield where lines were to be posted of which there is none."""
        line = exists().where(
            audit_events.c.guild_id == posts.c.guild_id, audit_events.c.sequence == posts.c.sequence
        )
        query = select(posts.c.guild_id, posts.c.sequence).where(
            posts.c.kind == PostKind.AUDIT, posts.c.sequence.is_not(None), ~line, *_of(posts, guild_id)
        )
        lost: dict[int, list[int]] = {}
        for guild, sequence in self._connection.execute(query):
            lost.setdefault(guild, []).append(sequence)
        for guild, numbers in lost.items():
            which = name_lines(numbers)
            yield Contradiction(guild, f"{which}: posted, or to be posted, and not in the record")

    def _moved(self, guild_id: int | None) -> Iterator[Contradiction]:
        """Yield the broadcasts whose last change no line tells."""
        last = (
            select(func.max(audit_events.c.at))
            .where(
                audit_events.c.broadcast_id == broadcasts.c.id,
                audit_events.c.guild_id == broadcasts.c.guild_id,
            )
            .scalar_subquery()
        )
        query = select(broadcasts.c.guild_id, broadcasts.c.id).where(
            or_(last.is_(None), last < broadcasts.c.updated_at), *_of(broadcasts, guild_id)
        )
        silent: dict[int, list[int]] = {}
        for guild, number in self._connection.execute(query.order_by(broadcasts.c.id)):
            silent.setdefault(guild, []).append(number)
        for guild, numbers in silent.items():
            named = listed(f"#{number}" for number in numbers)
            yield Contradiction(guild, f"no line tells what happened last to {named}")

    def _approved(self, guild_id: int | None) -> Iterator[Contradiction]:
        """Yield the approvals that no line tells."""
        told = exists().where(
            audit_events.c.broadcast_id == approvals.c.broadcast_id,
            or_(
                and_(
                    approvals.c.template.is_(None),
                    approvals.c.series.is_(None),
                    audit_events.c.at >= approvals.c.at,
                    audit_events.c.action == "approve",
                    audit_events.c.actor_id == approvals.c.approver_id,
                ),
                # What is lent was approved beforehand, perhaps by a clock that has been set back since.
                and_(approvals.c.template.is_not(None), audit_events.c.action == "template"),
                and_(approvals.c.series.is_not(None), audit_events.c.action == "covered"),
            ),
        )
        query = (
            select(broadcasts.c.guild_id, broadcasts.c.id, approvals.c.approver_name)
            .join(approvals, approvals.c.broadcast_id == broadcasts.c.id)
            .where(~told, *_of(broadcasts, guild_id))
        )
        for guild, number, name in self._connection.execute(query.order_by(broadcasts.c.id)):
            yield Contradiction(guild, f"no line tells that {name} approved #{number}")

    def _shared(self, guild_id: int | None) -> Iterator[Contradiction]:
        """Yield with whom a broadcast is shared though no line tells."""
        told = exists().where(
            audit_events.c.broadcast_id == shares.c.broadcast_id,
            audit_events.c.action == "share",
            audit_events.c.at >= shares.c.at,
        )
        query = (
            select(broadcasts.c.guild_id, broadcasts.c.id, shares.c.person_name)
            .join(shares, shares.c.broadcast_id == broadcasts.c.id)
            .where(~told, *_of(broadcasts, guild_id))
        )
        for guild, number, name in self._connection.execute(query.order_by(broadcasts.c.id)):
            yield Contradiction(guild, f"no line tells that #{number} is shared with {name}")

    def _approved_beforehand(self, guild_id: int | None) -> Iterator[Contradiction]:
        """Yield the approvals of templates that no line tells."""
        proof = func.upper(func.substr(template_approvals.c.fingerprint, 1, _PROOF_LENGTH))
        told = exists().where(
            audit_events.c.guild_id == template_approvals.c.guild_id,
            audit_events.c.actor_id == template_approvals.c.approver_id,
            audit_events.c.proof == proof,
            audit_events.c.action == "approve_template",
            audit_events.c.at >= template_approvals.c.at,
        )
        query = select(template_approvals.c.guild_id, template_approvals.c.approver_name, proof).where(
            ~told, *_of(template_approvals, guild_id)
        )
        for guild, name, code in self._connection.execute(query):
            yield Contradiction(guild, f"no line tells that {name} approved the template {code}")


def _of(table: Table, guild_id: int | None) -> Sequence[ColumnElement[bool]]:
    return [] if guild_id is None else [table.c.guild_id == guild_id]
