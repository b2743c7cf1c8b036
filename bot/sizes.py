"""How many people a broadcast reaches: counted at each step, and compared with what approvers were shown."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Final

from pydantic import TypeAdapter

from bot.audience import audience_of
from bot.audit.chain import HERALD
from bot.broadcast import Broadcast, Status, Step
from bot.counted import Counted, drifted
from bot.lifecycle import Lifecycle
from bot.notification import fingerprint_of
from bot.policy.audience import Audience
from bot.policy.model import Server
from bot.sentences import people
from bot.store import Transaction
from bot.store.counts import Count, Recipient
from bot.whop.reads import Source

# A count that is older says nothing of now.
FRESH: Final = timedelta(minutes=5)
# Nor does one before a start: it was begun a little before.
FRESH_AT_START: Final = 2 * FRESH
COUNTED: Final = "counted"
SOURCES: Final = TypeAdapter(tuple[Source, ...])


def digest_of(lifecycle: Lifecycle, server: Server, audience: Audience) -> str:
    """Return by what it is known whom an audience reaches, and by which way it is asked who that is."""
    return fingerprint_of({"targets": audience.targets.model_dump(mode="json"), **lifecycle.way(server)})


def known(tx: Transaction, lifecycle: Lifecycle, server: Server, audience: Audience) -> Counted | None:
    """Return what is known of the size of an audience, however old; None where nobody has to be asked."""
    if audience.is_named_one_by_one:
        return None
    return tx.counts.known(server.account, digest_of(lifecycle, server, audience))


def all_known(tx: Transaction, lifecycle: Lifecycle, server: Server) -> Mapping[str, Counted]:
    """Return what was last counted of each audience of a server, by its name."""
    told = tx.counts.all_known(server.account)
    if not told:
        return {}
    printed = {one.name: digest_of(lifecycle, server, one) for one in server.audiences}
    return {name: told[digest] for name, digest in printed.items() if digest in told}


def last_known(tx: Transaction, lifecycle: Lifecycle, server: Server, name: str) -> Counted | None:
    """Return what was last counted of the audience of that name, for a draft."""
    audience = server.audience(name)
    told = known(tx, lifecycle, server, audience) if audience else None
    return told.shown() if told and told.is_done else None


def ask(tx: Transaction, lifecycle: Lifecycle, broadcast: Broadcast) -> Counted | None:
    """Return how many people a broadcast reaches, counted just now; or let it be counted."""
    server = lifecycle.server_of(broadcast)
    audience = audience_of(server, broadcast)
    if audience is None or audience.is_named_one_by_one:
        return None
    if audience.is_once and (corrected := _corrected(tx, broadcast)):
        # It goes to those who got what was wrong, and not to whoever has joined since.
        return corrected.counted
    told, now = known(tx, lifecycle, server, audience), lifecycle.clock()
    if told is not None and told.at is not None and told.so_far is None and abs(now - told.at) <= FRESH:
        return told
    _begin(tx, lifecycle, server, audience, broadcast)
    return Counted(so_far=told.so_far or 0 if told else 0)


def begin_before_start(tx: Transaction, lifecycle: Lifecycle, broadcast: Broadcast) -> int:
    """Let it be counted whom a broadcast reaches that goes out soon; return the count, or 0 for none."""
    server = lifecycle.policy.server(broadcast.guild_id)
    audience = audience_of(server, broadcast) if server else None
    if server is None or audience is None:
        return 0
    if audience.is_once and (corrected := _corrected(tx, broadcast)):
        return tx.counts.copy(corrected.count_id or 0, broadcast_id=broadcast.id, at=lifecycle.clock())
    if audience.is_once:
        return _begin(tx, lifecycle, server, audience, broadcast, frozen=True)
    return 0 if audience.is_named_one_by_one else _begin(tx, lifecycle, server, audience, broadcast)


def _corrected(tx: Transaction, broadcast: Broadcast) -> Broadcast | None:
    """Return what a broadcast corrects, if that went to people by name."""
    wrong = tx.broadcasts.find(broadcast.corrects) if broadcast.corrects is not None else None
    return wrong if wrong is not None and wrong.count_id else None


def _begin(
    tx: Transaction,
    lifecycle: Lifecycle,
    server: Server,
    audience: Audience,
    broadcast: Broadcast,
    *,
    frozen: bool = False,
) -> int:
    reads = lifecycle.account_of(server).gateway.reads
    inside = audience.targets.users_in_experience
    named = [Recipient("", one) for one in audience.targets.users]
    named += [Recipient(inside.experience, one) for one in inside.users] if inside else []
    return tx.counts.want(
        guild_id=server.guild,
        account=server.account,
        digest=digest_of(lifecycle, server, audience),
        sources=SOURCES.dump_json(reads.sources(audience.targets)).decode(),
        named=named,
        at=lifecycle.clock(),
        broadcast_id=broadcast.id if frozen else None,
    )


def concerned(tx: Transaction, lifecycle: Lifecycle, count: Count) -> Sequence[Broadcast]:
    """Return the broadcasts on whose cards a count stands; nobody else changes them meanwhile.

    To be asked for before the count is changed, as everywhere: else two would wait for each other.
    """
    if count.broadcast_id is not None:
        one = tx.broadcasts.find(count.broadcast_id)
        # It may wait for another one by now, such as for other people.
        return [one] if one and one.status is Status.APPROVED and one.count_id == count.id else []
    numbers = [
        number
        for server in lifecycle.policy.servers
        if server.account == count.account
        if (names := _names(lifecycle, server, count.digest))
        for number in tx.sizes.before_approvers(server.guild, names)
    ]
    found = tx.broadcasts.find_all(numbers).values() if numbers else ()
    # What goes to whom another went to says nothing of who is in the audience now.
    return [one for one in found if not (_is_once(lifecycle, one) and _corrected(tx, one))]


def _is_once(lifecycle: Lifecycle, broadcast: Broadcast) -> bool:
    audience = audience_of(lifecycle.server_of(broadcast), broadcast)
    return audience is not None and audience.is_once


def tell(tx: Transaction, lifecycle: Lifecycle, about: Sequence[Broadcast], told: Counted) -> None:
    """Say on each of their cards what was counted; hold what reaches others than approvers saw."""
    for broadcast in about:
        _heed(tx, lifecycle, lifecycle.server_of(broadcast), broadcast, told)


def show_progress(tx: Transaction, lifecycle: Lifecycle, count: Count) -> None:
    """Say on each card whom it concerns how far a count has come."""
    for broadcast in concerned(tx, lifecycle, count):
        shown = broadcast.counted or Counted()
        tx.sizes.show(broadcast, shown.model_copy(update={"so_far": count.progress}))
        tx.outbox.redraw_card(broadcast.id)


def _names(lifecycle: Lifecycle, server: Server, digest: str) -> list[str]:
    return [one.name for one in server.audiences if digest_of(lifecycle, server, one) == digest]


def _heed(tx: Transaction, lifecycle: Lifecycle, server: Server, broadcast: Broadcast, told: Counted) -> None:
    shown, now = broadcast.counted, lifecycle.clock()
    if shown is None or not shown.is_done:
        # What approvers are shown from now on.
        counted = tx.sizes.show(broadcast, told)
        tx.outbox.redraw_card(broadcast.id, at=now)
        if told.people is not None:
            lifecycle.note(tx, broadcast, HERALD, COUNTED, spoken(told))
        shown = None
    else:
        counted = tx.sizes.show(broadcast, shown.shown())
        if shown.so_far is not None:
            # It said how far this count had come.
            tx.outbox.redraw_card(broadcast.id, at=now)
    # What cannot be told now may be told again before it goes out.
    why = "" if told.people is None else doubt(server, broadcast, shown, told)
    if why:
        lifecycle.advance(tx, counted, Step.HOLD, detail=why, review_expires_at=None, counted=told)


def doubt(server: Server, broadcast: Broadcast, shown: Counted | None, told: Counted) -> str:
    """Return why it must not go to as many people as it reaches now without a person, or nothing."""
    audience = audience_of(server, broadcast)
    bound = audience.bound() if audience else None
    return drifted(server.rules.size_drift, shown, told, bound=bound)


def before_start(server: Server, broadcast: Broadcast, told: Counted, *, frozen: bool) -> str:
    """Return why a broadcast must not go to those who were counted just before it, or nothing.

    Where it goes to them by name there has to be somebody, and nobody who could not be found.
    """
    if why := doubt(server, broadcast, broadcast.counted, told):
        return why
    if frozen and told.people is None:
        return f"who is in “{broadcast.audience}” cannot be read now ({told.why})"
    if frozen and told.people == 0 and broadcast.corrects is not None:
        return f"it is no longer kept to whom #{broadcast.corrects} went"
    if frozen and told.people == 0:
        return f"nobody is in “{broadcast.audience}” now"
    if frozen and told.people == told.nameless:
        return f"nobody in “{broadcast.audience}” can be named now"
    return ""


def spoken(told: Counted) -> str:
    """Return what the record says of a count."""
    if told.people is None:
        return f"nobody knows how many people it reaches: {told.why}"
    repeats = f", {told.repeats:,} repeats left out" if told.repeats else ""
    nameless = f"; {told.nameless:,} of them cannot be named" if told.nameless else ""
    return f"up to {people(told.people)}{repeats}{nameless}"
