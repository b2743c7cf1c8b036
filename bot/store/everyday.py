"""The templates that moderators make: as they stand, and all that they ever said."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final, Unpack

from sqlalchemy import Connection, RowMapping, func, insert, select, update

from bot.everyday import EverydayTemplate, Outline, TemplateName
from bot.store import postgresql
from bot.store.broadcasts import Beyond
from bot.store.tables import everyday_revisions as revisions
from bot.store.tables import everyday_templates as templates
from bot.value import Person

_STANDING: Final = select(
    templates, revisions.c.editor_id, revisions.c.editor_name, revisions.c.outline
).join(
    revisions, (revisions.c.template_id == templates.c.id) & (revisions.c.revision == templates.c.revision)
)


class EverydayTemplates:
    """Everyday templates as rows; none is ever deleted."""

    def __init__(self, connection: Connection, *, locking: bool) -> None:
        self._connection = connection
        self._locking = locking

    def name_alone(self, guild_id: int) -> None:
        """Wait until nobody else names a template of a server, so that two at once never get one name."""
        if self._locking and self._connection.dialect.name == "postgresql":
            postgresql.lock_naming(self._connection, guild_id)

    def find(self, number: int) -> EverydayTemplate | None:
        """Return the template with that number, retired or not."""
        row = self._connection.execute(_STANDING.where(templates.c.id == number)).mappings().first()
        return _template(row) if row else None

    def names(self, guild_id: int) -> list[TemplateName]:
        """Return all of a server that are not retired, newest first, as they are called."""
        rows = self._connection.execute(
            select(templates.c.id, templates.c.name, templates.c.author_name)
            .where(templates.c.guild_id == guild_id, templates.c.retired.is_(False))
            .order_by(templates.c.id.desc())
        )
        return [TemplateName(*row) for row in rows]

    def count(self, guild_id: int) -> int:
        """Return how many of a server are not retired."""
        counted = select(func.count()).select_from(templates)
        mine = templates.c.guild_id == guild_id, templates.c.retired.is_(False)
        return self._connection.execute(counted.where(*mine)).scalar_one()

    def page(self, guild_id: int, *, limit: int, **beyond: Unpack[Beyond]) -> list[EverydayTemplate]:
        """Return those of a server that are not retired: the newest, or those next to `beyond`."""
        found = _STANDING.where(templates.c.guild_id == guild_id, templates.c.retired.is_(False))
        if "before" in beyond:
            found = found.where(templates.c.id < beyond["before"])
        if "after" in beyond:
            found = found.where(templates.c.id > beyond["after"])
        order = templates.c.id if "after" in beyond else templates.c.id.desc()
        return [
            _template(row) for row in self._connection.execute(found.order_by(order).limit(limit)).mappings()
        ]

    def writers(self, number: int) -> Sequence[Person]:
        """Return everyone whose words may be in a template, the first of them first."""
        rows = self._connection.execute(
            select(revisions.c.editor_id, revisions.c.editor_name)
            .where(revisions.c.template_id == number)
            .order_by(revisions.c.revision)
        )
        return list({row.editor_id: Person(*row) for row in rows}.values())

    def add(self, guild_id: int, outline: Outline, *, author: Person, at: datetime) -> EverydayTemplate:
        """Keep a new template and return it with its number."""
        row = {"guild_id": guild_id, "name": outline.name, "revision": 1, "retired": False}
        by = {"author_id": author.id, "author_name": author.name}
        added = insert(templates).values(**row, **by).returning(templates.c.id)
        number = self._connection.execute(added).scalar_one()
        new = EverydayTemplate(
            id=number,
            guild_id=guild_id,
            author=author,
            editor=author,
            revision=1,
            retired=False,
            outline=outline,
        )
        self._keep(new, at)
        return new

    def revise(
        self, before: EverydayTemplate, outline: Outline, *, editor: Person, at: datetime
    ) -> EverydayTemplate | None:
        """Let a template say something else; return None if somebody was faster."""
        after = before.model_copy(
            update={"outline": outline, "editor": editor, "revision": before.revision + 1}
        )
        if not self._change(before, name=outline.name, revision=after.revision):
            return None
        self._keep(after, at)
        return after

    def retire(self, before: EverydayTemplate) -> EverydayTemplate | None:
        """Offer a template to nobody any more; return None if somebody was faster."""
        done = self._change(before, retired=True)
        return before.model_copy(update={"retired": True}) if done else None

    def restore(self, before: EverydayTemplate) -> EverydayTemplate | None:
        """Offer a template again that was retired; return None if somebody was faster."""
        done = self._change(before, retired=False)
        return before.model_copy(update={"retired": False}) if done else None

    def _change(self, before: EverydayTemplate, **changes: object) -> bool:
        as_it_was = templates.c.id == before.id, templates.c.revision == before.revision
        changed = (
            update(templates).where(*as_it_was, templates.c.retired.is_(before.retired)).values(**changes)
        )
        return self._connection.execute(changed).rowcount == 1

    def _keep(self, template: EverydayTemplate, at: datetime) -> None:
        self._connection.execute(
            insert(revisions).values(
                template_id=template.id,
                revision=template.revision,
                editor_id=template.editor.id,
                editor_name=template.editor.name,
                outline=template.outline.model_dump_json(),
                at=at,
            )
        )


def _template(row: RowMapping) -> EverydayTemplate:
    return EverydayTemplate(
        id=row["id"],
        guild_id=row["guild_id"],
        author=Person(row["author_id"], row["author_name"]),
        editor=Person(row["editor_id"], row["editor_name"]),
        revision=row["revision"],
        retired=row["retired"],
        outline=Outline.model_validate_json(row["outline"]),
    )
