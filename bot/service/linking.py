"""Tying a person to their user at Whop: Whop says who that is, and a code shows that it is them."""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from bot import seal
from bot.broadcast import Broadcast
from bot.characters import is_blank
from bot.clock import Clock
from bot.errors import Conflict, NotReady
from bot.notification import fingerprint_of, printed
from bot.permissions import Action, Actor
from bot.policy.model import Server
from bot.service.gate import OLD_CARD, Gate
from bot.service.lookup import Ask
from bot.service.testing import refuse_now, send
from bot.store import Transaction
from bot.testing import (
    ALPHABET,
    CODE_LENGTH,
    CODE_LIVES,
    MOST_TRIES,
    OF_A_LINK,
    Link,
    LinkCode,
    code_words,
    digest_of,
    experiences_of,
    refuse_tests,
)
from bot.whop.reads import Failed, Member, Reads, refuse_kind

# So many experiences are asked about at most: whoever typed the name waits for it.
EXPERIENCES: Final = 10
TYPED_LIMIT: Final = 100
# What the record says of somebody who is tied to Whop, or no longer.
CODE_SENT: Final = "link"
LINKED: Final = "linked"
UNLINKED: Final = "unlinked"
# What stands in the database in the place of a code.
HIDDEN_CODE: Final = "····-····"

_MORE: Final = {0: "it counts no more, ask for another one", 1: "one more try"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Whom somebody says they are at Whop, and how that is asked."""

    typed: str
    account: str
    reads: Reads
    # In which of them they have to be found to be named; in none, where anybody can be.
    experiences: Sequence[str]


class Found(NamedTuple):
    """Who it is, and in which experience they can be named; or why nobody can say."""

    member: Member | None = None
    experience: str | None = None
    why: str = ""


def ask_link(tx: Transaction, gate: Gate, actor: Actor, typed: str) -> Wanted:
    """Return what Whop is to be asked; raise Refused where a link could only be refused later."""
    gate.decide(actor, Action.LINK)
    typed, server = typed.strip(), gate.server(actor)
    _refuse_linked(tx, actor, server)
    refuse_now(tx, gate, actor)
    if is_blank(typed) or len(typed) > TYPED_LIMIT:
        raise NotReady("Type your Whop user id, such as user_Ab12, or your username.")
    if why := refuse_kind(typed, "user"):
        raise NotReady(f"{why}.")
    account = gate.lifecycle.account_of(server)
    inside = account.gateway.names_inside
    if why := refuse_tests(server, inside=inside):
        raise NotReady(f"{why}.")
    return Wanted(
        typed=typed,
        account=account.name,
        reads=account.gateway.reads,
        experiences=experiences_of(server)[:EXPERIENCES] if inside else (),
    )


def _refuse_linked(tx: Transaction, actor: Actor, server: Server) -> None:
    if link := tx.links.of(server.guild, server.account, actor.id):
        raise NotReady(f"You are tied to {link.shown} already: /notify link remove:True first.")


async def find(ask: Ask, wanted: Wanted, *, clock: Clock) -> Found:
    """Ask Whop who it is, and where they have access."""
    reads = wanted.reads
    answer = await ask(wanted.account, reads.ask_person(wanted.typed))
    member = reads.read_person(answer, now=clock())
    if isinstance(member, Failed):
        return Found(why=f"Whop does not say who “{wanted.typed}” is: {member.why}.")
    if member is None:
        return Found(why=f"Whop knows nobody by “{wanted.typed}”: copy your user id or username from it.")
    for experience in wanted.experiences:
        answer = await ask(wanted.account, reads.ask_access(member.id, experience))
        has_access = reads.read_access(answer, now=clock())
        if isinstance(has_access, Failed):
            return Found(why=f"Whop does not say where “{wanted.typed}” has access: {has_access.why}.")
        if has_access:
            return Found(member, experience)
    if wanted.experiences:
        return Found(
            why=f"“{wanted.typed}” has access to none of the experiences that this server's audiences name,"
            " and Whop's v1 names people only inside one: get access to one first."
        )
    return Found(member)


def send_code(
    tx: Transaction, gate: Gate, actor: Actor, wanted: Wanted, found: Found, *, channel_id: int
) -> tuple[Broadcast, Link]:
    """Send a code to whom Whop found, and return the test that bears it and the link that waits for it."""
    gate.decide(actor, Action.LINK)
    server = gate.server(actor)
    if found.member is None:
        raise NotReady(found.why)
    if server.account != wanted.account:
        raise Conflict("The policy has changed meanwhile: try again.")
    _refuse_linked(tx, actor, server)
    link = Link(
        guild_id=server.guild,
        account=wanted.account,
        origin=gate.lifecycle.account_of(server).origin,
        person=actor.person,
        whop_id=found.member.id,
        whop_name=found.member.username,
        experience=found.experience,
        at=gate.clock(),
    )
    _refuse_held(tx, link)
    code, salt = _new_code(), secrets.token_hex(16)
    topic = server.topics[0].id
    shown = code_words(topic, server.name, HIDDEN_CODE)
    scope = {"audience": {"person": link.whop_id}, **gate.lifecycle.way(server)}
    test = send(
        tx,
        gate,
        actor,
        link,
        notification=code_words(topic, server.name, code),
        shown=shown,
        audience="",
        fingerprint=fingerprint_of(printed(shown, scope)),
        test_of=OF_A_LINK,
        channel_id=channel_id,
    )
    gate.lifecycle.note(tx, test, actor.person, CODE_SENT, f"to {link.shown} alone")
    tx.links.ask(
        LinkCode(link, test.id, salt, digest_of(code, salt=salt), tries=0, expires_at=link.at + CODE_LIVES)
    )
    return test, link


def _refuse_held(tx: Transaction, link: Link) -> None:
    holder = tx.links.holder(link.guild_id, link.account, link.whop_id)
    if holder is not None and holder.person.id != link.person.id:
        raise NotReady(
            f"{link.shown} is tied to {holder.person.name} in this server: they have to remove that first,"
            " by /notify link remove:True."
        )


def _new_code() -> str:
    signs = [secrets.choice(ALPHABET) for _ in range(CODE_LENGTH)]
    half = CODE_LENGTH // 2
    return f"{''.join(signs[:half])}-{''.join(signs[half:])}"


def ask_code(tx: Transaction, gate: Gate, actor: Actor, test_id: int) -> None:
    """Raise Refused if the code that a test bears could only be refused, before anybody types it."""
    gate.decide(actor, Action.LINK)
    sent = tx.broadcasts.find(test_id)
    if sent is None or sent.guild_id != actor.guild_id or sent.test_of != OF_A_LINK:
        raise Conflict(OLD_CARD)
    gate.compare(actor, seal.of_test(sent))


def type_code(tx: Transaction, gate: Gate, actor: Actor, typed: str) -> Link | str:
    """Tie the actor to the user who got the code that they typed; return why not if it is another one.

    A try counts, whatever was typed.
    """
    gate.decide(actor, Action.LINK)
    gate.meet(tx, actor)
    server = gate.server(actor)
    minutes = CODE_LIVES.total_seconds() // 60
    asked = tx.links.try_code(server.guild, server.account, actor.id, at=gate.clock())
    if asked is None:
        raise NotReady(
            f"No code counts now: each does for {minutes:.0f} minutes and {MOST_TRIES} tries. Ask for another"
            " one by /notify link user:…"
        )
    if actor.seen is not None and (sent := tx.broadcasts.find(asked.broadcast_id)):
        gate.compare(actor, seal.of_test(sent))
    if not asked.is_met(typed):
        left = MOST_TRIES - asked.tries
        why = f"That is not the code that was sent: {_MORE.get(left, f'{left} more tries')}."
        gate.lifecycle.note_refusal(tx, actor, Action.LINK, NotReady(why), None)
        return why
    _refuse_held(tx, asked.link)
    tx.links.forget_code(server.guild, server.account, actor.id)
    tx.links.keep(asked.link)
    gate.lifecycle.note_setting(tx, server.guild, actor.person, LINKED, f"to {asked.link.shown} at Whop")
    return asked.link


def link_of(tx: Transaction, gate: Gate, actor: Actor) -> Link | None:
    """Return whom the actor is tied to at Whop."""
    gate.decide(actor, Action.LINK)
    server = gate.server(actor)
    return tx.links.of(server.guild, server.account, actor.id)


def remove_link(tx: Transaction, gate: Gate, actor: Actor) -> Link:
    """Untie the actor from their user at Whop; return what was removed."""
    gate.decide(actor, Action.LINK)
    gate.meet(tx, actor)
    server = gate.server(actor)
    link = tx.links.of(server.guild, server.account, actor.id)
    if link is None:
        tx.links.forget_code(server.guild, server.account, actor.id)
        raise NotReady("You are tied to nobody at Whop.")
    tx.links.remove(server.guild, server.account, actor.id)
    gate.lifecycle.note_setting(tx, server.guild, actor.person, UNLINKED, f"from {link.shown} at Whop")
    return link
