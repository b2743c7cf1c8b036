"""Tests: a person gets the words first, alone, and says that they have arrived."""

from uuid import uuid4

from bot import seal
from bot.audit.chain import HERALD
from bot.broadcast import Broadcast, Status, Step
from bot.errors import Conflict, NotFound, NotReady
from bot.freeze import describe
from bot.lifecycle import describe_state
from bot.notification import Notification, problems
from bot.permissions import Action, Actor
from bot.policy.model import Server
from bot.service.gate import Gate
from bot.store import Transaction
from bot.testing import (
    MOST_TESTS,
    UNTESTED,
    WITHIN,
    Link,
    experiences_of,
    marked,
    refuse_marked,
    refuse_tests,
)

# What the record calls it that somebody has a test sent to themselves.
TESTED = "test"
# What may have arrived, as far as anybody knows.
_MAY_HAVE_ARRIVED = frozenset({Status.SENT, Status.UNKNOWN})


def test_draft(
    tx: Transaction, gate: Gate, actor: Actor, broadcast_id: int, *, revision: int, channel_id: int
) -> Broadcast:
    """Send a draft to the actor alone."""
    return _test(tx, gate, actor, Action.TEST_DRAFT, broadcast_id, revision, channel_id)


def test_review(
    tx: Transaction, gate: Gate, actor: Actor, broadcast_id: int, *, revision: int, channel_id: int
) -> Broadcast:
    """Send what waits for approval to the actor alone, who writes none of it by that."""
    return _test(tx, gate, actor, Action.TEST_REVIEW, broadcast_id, revision, channel_id)


def _test(
    tx: Transaction,
    gate: Gate,
    actor: Actor,
    action: Action,
    broadcast_id: int,
    revision: int,
    channel_id: int,
) -> Broadcast:
    it = gate.find(tx, actor, action, broadcast_id)
    gate.decide(actor, action, it)
    if it.status is not (Status.DRAFT if action is Action.TEST_DRAFT else Status.REVIEW):
        raise Conflict(describe_state(it))
    gate.refuse_old_card(actor, it, revision)
    server = gate.lifecycle.server_of(it)
    link = find_link(tx, gate, actor)
    _refuse_words(gate, server, it.notification)
    sent = send(
        tx,
        gate,
        actor,
        link,
        notification=marked(it.notification),
        audience=it.audience,
        fingerprint=gate.lifecycle.likeness_now(server, it),
        test_of=it.id,
        channel_id=channel_id,
    )
    gate.lifecycle.note(tx, it, actor.person, TESTED, f"#{sent.id}, to {link.shown} alone")
    return sent


def _refuse_words(gate: Gate, server: Server, notification: Notification) -> None:
    """Raise NotReady if these words could not be sent, or not with what marks them as a test."""
    gateway = gate.lifecycle.account_of(server).gateway
    lacking = [
        *problems(notification),
        *gateway.refuse_notification(notification),
        *server.refuse_link(notification.link),
    ]
    if why := lacking[0] if lacking else refuse_marked(notification):
        raise NotReady(why)
    if server.topic(notification.topic) is None:
        raise NotReady(f"The topic “{notification.topic}” is no longer in the policy: compose anew.")


def find_link(tx: Transaction, gate: Gate, actor: Actor) -> Link:
    """Return who the actor is at Whop; raise NotReady where they have not shown it, or it holds no more."""
    server = gate.server(actor)
    account = gate.lifecycle.account_of(server)
    if why := refuse_tests(server, inside=account.gateway.names_inside):
        raise NotReady(f"{why}.")
    link = tx.links.of(server.guild, account.name, actor.id)
    if link is None:
        raise NotReady("Herald does not know who you are at Whop: /notify link user:… ties you to it, once.")
    is_known = link.experience is None or link.experience in experiences_of(server)
    is_inside = link.experience is not None
    if link.origin != account.origin or not is_known or is_inside is not account.gateway.names_inside:
        raise NotReady(
            "You were tied to Whop in another place, or in an experience that the policy no longer names:"
            " /notify link remove:True, then link yourself again."
        )
    return link


def refuse_now(tx: Transaction, gate: Gate, actor: Actor) -> None:
    """Raise NotReady while sending is frozen, or where the actor had enough sent to themselves."""
    server = gate.server(actor)
    if freeze := tx.freezes.over(server.guild, server.account):
        raise NotReady(describe(freeze))
    if tx.tests.count(server.guild, actor.id, since=gate.clock() - WITHIN) >= MOST_TESTS:
        raise NotReady(f"You had {MOST_TESTS} tests sent to yourself within an hour: wait before the next.")


def send(
    tx: Transaction,
    gate: Gate,
    actor: Actor,
    link: Link,
    *,
    notification: Notification,
    audience: str,
    fingerprint: str,
    test_of: int,
    channel_id: int,
    shown: Notification | None = None,
) -> Broadcast:
    """Let words go to one person alone, as anything goes out; what is `shown` of them is kept instead."""
    # Whoever is counted is nobody else's meanwhile.
    gate.meet(tx, actor)
    refuse_now(tx, gate, actor)
    server, now = gate.server(actor), gate.clock()
    test = tx.tests.add(
        guild_id=server.guild,
        author=actor.person,
        audience=audience,
        notification=shown or notification,
        fingerprint=fingerprint,
        test_of=test_of,
        channel_id=channel_id,
        at=now,
    )
    gateway = gate.lifecycle.account_of(server).gateway
    requests = gateway.build_named(
        notification,
        [(link.experience or "", [link.whop_id])],
        new_key=lambda: str(uuid4()),
        number=test.id,
    )
    tx.deliveries.add(test, requests, account=server.account, at=now)
    what = f"a test of #{test_of}" if test_of else f"a code for {actor.name}"
    gate.lifecycle.note(tx, test, HERALD, Step.START.value, f"{what}, to {link.shown} alone")
    return test


def arrived(tx: Transaction, gate: Gate, actor: Actor, test_id: int, *, revision: int) -> Broadcast:
    """Note that a test has reached the actor, and return what it was a test of."""
    _ = revision  # it has only one
    test = tx.broadcasts.find(test_id)
    of = gate.find(tx, actor, Action.ARRIVED, (test.test_of if test else None) or test_id)
    gate.decide(actor, Action.ARRIVED, test)
    if test is None or not test.is_test:
        raise NotFound(f"#{test_id} is no test, which alone can arrive.")
    gate.compare(actor, seal.of_test(test))
    if test.status not in _MAY_HAVE_ARRIVED:
        raise NotReady("Whop did not take this test, so it cannot have arrived.")
    gate.meet(tx, actor)
    tx.tests.receive(test, at=gate.clock())
    # It may say something else by now.
    gate.lifecycle.note(tx, of, actor.person, Action.ARRIVED.value, f"#{test.id}, of proof {test.proof}")
    return of


def untested(tx: Transaction, gate: Gate, actor: Actor, broadcast: Broadcast) -> str:
    """Return why the actor has to test these very words before they go on with them, or nothing."""
    server = gate.lifecycle.server_of(broadcast)
    who = "author" if broadcast.status is Status.DRAFT else "approver"
    if server.rules.require_test != who:
        return ""
    likeness = gate.lifecycle.likeness_now(server, broadcast)
    return "" if tx.tests.has_reached(server.guild, actor.id, likeness) else UNTESTED


def require_test(tx: Transaction, gate: Gate, actor: Actor, broadcast: Broadcast) -> None:
    """Raise NotReady unless these very words have reached the actor, where the rules ask for that."""
    if why := untested(tx, gate, actor, broadcast):
        raise NotReady(why)
