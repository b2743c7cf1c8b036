"""Templates that moderators make themselves: to be named, filled in, changed and retired by people."""

from collections.abc import Callable, Mapping, Sequence
from typing import Final, NamedTuple, Unpack

from bot import seal
from bot.broadcast import Broadcast
from bot.characters import is_storable
from bot.errors import Conflict, NotFound, NotReady
from bot.everyday import EverydayTemplate, TemplateName, Typed, fill, outlined, read_template_name
from bot.permissions import Action, Actor
from bot.policy.model import Server
from bot.policy.names import lookalike
from bot.schedule import Schedule
from bot.sentences import listed
from bot.service.gate import PAGE, Gate
from bot.store import Beyond, Transaction
from bot.store.kept_forms import KeptForm
from bot.value import Person
from bot.zones import local_time, written

# So many are found by their names, and offered while somebody types.
MOST_TEMPLATES: Final = 1000
_OF_STANDING: Final = (Action.COMPOSE, Action.EDIT_TEMPLATE, Action.RETIRE_TEMPLATE)
_OF_RETIRED: Final = (Action.RESTORE_TEMPLATE,)
# As much as five fields of a form take.
KEPT_LIMIT: Final = 20_000


class Opened(NamedTuple):
    """A template for which a form opens, and what the person typed into that form when it was refused."""

    template: EverydayTemplate
    fields: Mapping[str, str]


class Seen(NamedTuple):
    """A template as somebody sees it: whose words it has, and what they may do to it."""

    template: EverydayTemplate
    writers: Sequence[Person]
    may: Sequence[Action]
    seal: str


def names(tx: Transaction, gate: Gate, actor: Actor) -> list[TemplateName]:
    """Return what there is to choose from, newest first; nothing to those who may not see it."""
    server = gate.policy.server(actor.guild_id)
    # It is asked at every keystroke: no refusal is recorded.
    return tx.everyday.names(server.guild) if server and gate.may(actor, Action.LIST) else []


def page(tx: Transaction, gate: Gate, actor: Actor, **beyond: Unpack[Beyond]) -> list[EverydayTemplate]:
    """Return a page of the templates of the actor's server, and one more if there is another page."""
    gate.decide(actor, Action.LIST)
    return tx.everyday.page(gate.server(actor).guild, limit=PAGE + 1, **beyond)


def look(tx: Transaction, gate: Gate, actor: Actor, number: int) -> Seen:
    """Return a template of the actor's server, retired or not."""
    gate.decide(actor, Action.LIST)
    template = tx.everyday.find(number)
    if template is None or template.guild_id != gate.server(actor).guild:
        raise NotFound("There is no such template here: see `/notify template list`.")
    return _seen(tx, gate, actor, template)


def ask_new(
    tx: Transaction, gate: Gate, actor: Actor, *, name: str, audience: str | None, topic: str | None
) -> Mapping[str, str]:
    """Raise Refused if making this could only be refused later; else return what was typed before."""
    gate.decide(actor, Action.CREATE_TEMPLATE)
    gate.choose(actor, audience, topic)
    if name:
        _refuse_name(tx, gate, actor, read_template_name(name))
    return tx.kept_forms.fields(gate.server(actor).guild, actor.id, Action.CREATE_TEMPLATE, 0)


def ask(tx: Transaction, gate: Gate, actor: Actor, action: Action, number: int) -> Opened:
    """Return the template if the actor could do this now; raise Refused before anything is typed."""
    template = _standing(tx, gate, actor, action, number)
    gate.compare(actor, seal.of_everyday(template))
    if action is Action.COMPOSE:
        _refuse_what_is_gone(gate.server(actor), template)
    return Opened(template, tx.kept_forms.fields(template.guild_id, actor.id, action, number))


def create(tx: Transaction, gate: Gate, actor: Actor, typed: Typed) -> Seen:
    """Keep a new template for everybody who may compose."""
    gate.decide(actor, Action.CREATE_TEMPLATE)
    gate.choose(actor, typed.audience, typed.topic)
    outline = outlined(typed)
    gate.meet(tx, actor)
    guild_id = gate.server(actor).guild
    _refuse_name(tx, gate, actor, outline.name)
    _refuse_more(tx, guild_id)
    template = tx.everyday.add(guild_id, outline, author=actor.person, at=gate.clock())
    _note(tx, gate, actor, Action.CREATE_TEMPLATE, template)
    tx.kept_forms.drop(guild_id, actor.id, Action.CREATE_TEMPLATE, 0)
    return _seen(tx, gate, actor, template)


def edit(tx: Transaction, gate: Gate, actor: Actor, number: int, typed: Typed, *, revision: int) -> Seen:
    """Let a template say something else; what it said before is kept."""
    before = _unchanged(tx, gate, actor, Action.EDIT_TEMPLATE, number, revision)
    kept = before.outline
    gate.choose(
        actor,
        # What left the policy in the meantime may stay, until somebody uses it.
        typed.audience if typed.audience != kept.audience else None,
        typed.topic if typed.topic != kept.topic else None,
    )
    outline = outlined(typed)
    gate.meet(tx, actor)
    _refuse_name(tx, gate, actor, outline.name, but=number)
    after = tx.everyday.revise(before, outline, editor=actor.person, at=gate.clock())
    if after is None:
        raise _edited(before)
    renamed = f", before “{kept.name}”" if kept.name != outline.name else ""
    _note(tx, gate, actor, Action.EDIT_TEMPLATE, after, f"{renamed}, revision {after.revision}")
    tx.kept_forms.drop(before.guild_id, actor.id, Action.EDIT_TEMPLATE, number)
    return _seen(tx, gate, actor, after)


def retire(tx: Transaction, gate: Gate, actor: Actor, number: int, *, revision: int) -> Seen:
    """Offer a template to nobody any more; what it said is kept."""
    before = _unchanged(tx, gate, actor, Action.RETIRE_TEMPLATE, number, revision)
    gate.meet(tx, actor)
    after = tx.everyday.retire(before)
    if after is None:
        raise _edited(before)
    _note(tx, gate, actor, Action.RETIRE_TEMPLATE, after)
    return _seen(tx, gate, actor, after)


def restore(tx: Transaction, gate: Gate, actor: Actor, number: int, *, revision: int) -> Seen:
    """Offer a template again that was retired."""
    before = _unchanged(tx, gate, actor, Action.RESTORE_TEMPLATE, number, revision)
    gate.meet(tx, actor)
    _refuse_name(tx, gate, actor, before.name)
    _refuse_more(tx, before.guild_id)
    after = tx.everyday.restore(before)
    if after is None:
        raise _edited(before)
    _note(tx, gate, actor, Action.RESTORE_TEMPLATE, after)
    return _seen(tx, gate, actor, after)


def use(
    tx: Transaction,
    gate: Gate,
    actor: Actor,
    number: int,
    values: Mapping[str, str],
    *,
    revision: int,
    audience: str,
    topic: str,
    times: Mapping[str, Schedule | None],
    channel_id: int,
) -> Broadcast:
    """Store a draft with the words of a template and its blanks filled.

    The audience and the topic count where it leaves them open; `times` are those that were typed, as they
    were read. Whoever wrote its words may not approve them.
    """
    template = _unchanged(tx, gate, actor, Action.COMPOSE, number, revision)
    server, now, outline = gate.server(actor), gate.clock(), template.outline
    _refuse_what_is_gone(server, template)
    audience, topic = outline.audience or audience, outline.topic or topic
    gate.choose(actor, audience, topic)
    gate.meet(tx, actor)
    words = fill(outline, values, topic=topic, written=_writer(times, server.zone_of(audience)))
    typed = [actor.person] if outline.blanks else []
    writers = {one.id: one for one in [*tx.everyday.writers(number), *typed]}
    draft = tx.broadcasts.add(
        guild_id=server.guild,
        author=actor.person,
        audience=audience,
        notification=words,
        **gate.lifecycle.prints(server, audience, words, None),
        origin_channel_id=channel_id,
        at=now,
        writers=[*writers.values()],
    )
    said = f"for {audience}, from the template “{template.name}”, revision {template.revision}"
    gate.lifecycle.note(tx, draft, actor.person, "composed", said)
    tx.kept_forms.drop(server.guild, actor.id, Action.COMPOSE, number)
    return draft


def keep_form(
    tx: Transaction, gate: Gate, actor: Actor, action: Action, number: int, fields: Mapping[str, str]
) -> str | None:
    """Keep what was typed into a form that is refused; return what seals the button that opens it again.

    None if there is nothing to open, or the actor may not: what was typed is then given back in a file alone.
    """
    server, template = gate.policy.server(actor.guild_id), tx.everyday.find(number)
    if server is None or not gate.may(actor, action):
        return None
    if number and (template is None or template.guild_id != server.guild or template.retired):
        return None
    typed = "".join(fields.values())
    if len(typed) > KEPT_LIMIT or not is_storable(typed):
        return None
    tx.kept_forms.keep(server.guild, actor.id, KeptForm(action, number, fields), at=gate.clock())
    return seal.of_everyday(template) if template else ""


def _writer(times: Mapping[str, Schedule | None], zone: str) -> Callable[[str], str]:
    """Return what tells a time that was typed by the clocks of the zone, as customers read it."""

    def write(typed: str) -> str:
        time = times.get(typed)
        if time is None or time.at is None:
            raise NotReady(_unclear(time) if time else "It was not read: send the form again.")
        return written(time.at, zone)

    return write


def _unclear(time: Schedule) -> str:
    meant = dict.fromkeys(f"{local_time(one.at, time.zone):%Y-%m-%d %H:%M}" for one in time.meanings)
    if not meant:
        return time.problem
    # What clocks show twice cannot be written in full either.
    mend = f"Write it in full: {listed(meant, between=' or ')}." if len(meant) > 1 else "Write another one."
    return f"{time.problem} {mend}"


def _standing(tx: Transaction, gate: Gate, actor: Actor, action: Action, number: int) -> EverydayTemplate:
    template = tx.everyday.find(number)
    gate.decide(actor, action)
    if template is None or template.guild_id != gate.server(actor).guild:
        raise NotFound("There is no such template here: see `/notify template list`.")
    gate.decide(actor, action, template)
    if template.retired is not (action is Action.RESTORE_TEMPLATE):
        state = "retired" if template.retired else "in use"
        raise NotFound(f"The template “{template.name}” is {state}: see `/notify template list`.")
    return template


def _unchanged(
    tx: Transaction, gate: Gate, actor: Actor, action: Action, number: int, revision: int
) -> EverydayTemplate:
    """Return the template if it still says what the actor saw."""
    template = _standing(tx, gate, actor, action, number)
    if template.revision != revision:
        raise _edited(template)
    gate.compare(actor, seal.of_everyday(template))
    return template


def _edited(template: EverydayTemplate) -> Conflict:
    return Conflict(
        f"{template.editor.name} has edited the template “{template.name}” in the meantime, so nothing was"
        " changed or made of it: open it again, with what you typed."
    )


def _refuse_more(tx: Transaction, guild_id: int) -> None:
    if tx.everyday.count(guild_id) >= MOST_TEMPLATES:
        raise NotReady(
            f"This server has {MOST_TEMPLATES:,} templates, and no more fit: retire one first"
            " (`/notify template retire`)."
        )


def _refuse_name(tx: Transaction, gate: Gate, actor: Actor, name: str, *, but: int | None = None) -> None:
    server = gate.server(actor)
    tx.everyday.name_alone(server.guild)
    others = [one.name for one in tx.everyday.names(server.guild) if one.id != but]
    if (other := lookalike(name, [*others, *(one.name for one in server.templates)])) is not None:
        raise NotReady(f"The name “{name}” looks like that of the template “{other}”: choose another one.")


def _refuse_what_is_gone(server: Server, template: EverydayTemplate) -> None:
    outline = template.outline
    gone = (
        [f"audience “{outline.audience}”"]
        if outline.audience and not server.audience(outline.audience)
        else []
    )
    gone += [f"topic “{outline.topic}”"] if outline.topic and not server.topic(outline.topic) else []
    if gone:
        raise NotReady(
            f"The {gone[0]} of the template “{template.name}” is no longer in the policy: its author,"
            f" {template.author.name}, or an operator can set another one with `/notify template edit`."
        )


def _seen(tx: Transaction, gate: Gate, actor: Actor, template: EverydayTemplate) -> Seen:
    possible = _OF_RETIRED if template.retired else _OF_STANDING
    may = [one for one in possible if gate.may(actor, one, template)]
    return Seen(template, tx.everyday.writers(template.id), may, seal.of_everyday(template))


def _note(
    tx: Transaction, gate: Gate, actor: Actor, action: Action, template: EverydayTemplate, more: str = ""
) -> None:
    detail = f"template “{template.name}”{more}"
    gate.lifecycle.note_template(tx, template.guild_id, actor.person, action.value, detail, proof="")
