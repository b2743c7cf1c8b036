"""Which requests leave now: in turns, within the rate, and nothing that is frozen or must not be repeated."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import chain, islice, zip_longest
from typing import Final, NamedTuple

from bot.broadcast import Broadcast
from bot.clock import Clock, Steady
from bot.delivery import Delivery, in_doubt
from bot.freeze import first_over
from bot.key_trust import REFUTED_BY, KeyTrust
from bot.lifecycle import Lifecycle
from bot.sending.restore_guard import RestoreGuard
from bot.sending.settle import Done, Settlement
from bot.store import Transaction
from bot.store.facts import HIGHEST_TIME
from bot.store.history import Mark

# How many POSTs of an account may be under way at once: enough for v1's rate when each takes ten seconds.
WIDTH: Final = 100
# How many may be under way at once that repeat what is in doubt: each of them costs a doubled push if Whop no
# longer honours the keys, until that is noticed.
REPEATS: Final = REFUTED_BY
# Another process may have found that a pause is over.
LOOK_AGAIN_SECONDS: Final = 15.0
# How many that were tried before are judged at once while nothing may go.
JUDGED: Final = 100
# A claim that takes longer than this to be committed was of too many requests.
SLOW_SECONDS: Final = 5.0


class Claim(NamedTuple):
    """A delivery that this process has to send, its broadcast's proof code, and the trust in its key."""

    delivery: Delivery
    proof: str
    trust: KeyTrust | None


class Claimed(NamedTuple):
    """What was claimed together, since when by the steady clock, and how far the database had come.

    `given_up` is what must not be tried again; `crowded` that more could have gone with more room.
    """

    claims: Sequence[Claim]
    since: float
    mark: Mark | None = None
    given_up: Sequence[Done] = ()
    crowded: bool = False


class Claiming:
    """Take what may leave, and write its attempts down."""

    def __init__(
        self,
        *,
        lifecycle: Lifecycle,
        settlement: Settlement,
        restore_guard: RestoreGuard,
        clock: Clock,
        steady: Steady,
    ) -> None:
        self._lifecycle = lifecycle
        self._settlement = settlement
        self._restore_guard = restore_guard
        self._clock = clock
        self._steady = steady
        self._most = WIDTH
        self._first = 0
        self._looked = float("-inf")
        # Attempts that are claimed here, or whose claim was lost on the way to the database or back.
        self.attempted: Sequence[tuple[int, int]] = ()

    @property
    def is_closed(self) -> bool:
        """Tell whether all accounts were seen to pause, so that asking for something to send is of no use."""
        if self._steady() - self._looked >= LOOK_AGAIN_SECONDS:
            return False
        return all(one.opens_at > self._steady() for one in self._settlement.rate_limits.values())

    def claim(self, tx: Transaction, *, owner: str, flying: Collection[Delivery]) -> Claimed:
        """Take what there is room for, and say what must not be tried again.

        `flying` is what is under way here.
        """
        under_way = Counter(one.account for one in flying)
        now, self._looked = self._clock(), self._steady()
        # Two that count at the same time would each find the same room.
        tx.claim_alone()
        if self._restore_guard.check(tx):
            return Claimed((), self._steady(), self._restore_guard.advance(tx))
        tx.facts.load(HIGHEST_TIME, *self._settlement.facts)
        freezes = tx.freezes.standing()
        waiting: dict[str, list[Delivery]] = {}
        rooms: dict[str, int] = {}
        for account, limit in self._settlement.rate_limits.items():
            room = max(0, min(limit.room(tx), WIDTH - under_way[account], self._most))
            # Where there is no room, what must not be tried again is given up all the same.
            guild_ids = [one for one in self._guilds() if not first_over(freezes, one, account)]
            found = tx.deliveries.may_go(
                now, account=account, guild_ids=guild_ids, limit=room or JUDGED, tried=None if room else True
            )
            chosen = in_turns(found, room or JUDGED)
            doubtful = sum(in_doubt(one.past) for one in chosen)
            # Those of all processes together.
            if room and doubtful and (again := REPEATS - tx.deliveries.repeating(account)) < doubtful:
                others = [one for one in chosen if not in_doubt(one.past)]
                others += self._untried(tx, account, guild_ids, room)
                fewer = {one.id: one for one in (*_first_repeats(chosen, again), *others)}
                chosen = [*fewer.values()][:room]
            rooms[account], waiting[account] = room, chosen
        carried = {one.id for one in flying}
        chosen = [one for one in chain.from_iterable(waiting.values()) if one.id not in carried]
        broadcasts, fit, given_up = self._judged(tx, chosen)
        since = self._steady()
        claimed = tx.deliveries.claim([one for one in fit if rooms[one.account]], owner=owner, at=now)
        self.attempted = [(one.id, one.attempts) for one in claimed]
        for account, requests in Counter(one.account for one in claimed).items():
            self._settlement.rate_limits[account].begin(tx, requests)
        mark = self._restore_guard.advance(tx) if claimed else None
        claims = [
            Claim(one, broadcasts[one.broadcast_id].proof, self._settlement.trust(tx, one.account))
            for one in claimed
        ]
        # After a pause it is looked at once a second.
        opened = [
            name for name, one in self._settlement.rate_limits.items() if one.opens_at <= self._steady()
        ]
        crowded = any(len(waiting[name]) >= rooms[name] for name in opened)
        return Claimed(claims, since, mark, given_up, crowded)

    def _untried(
        self, tx: Transaction, account: str, guild_ids: Sequence[int], room: int
    ) -> Sequence[Delivery]:
        found = tx.deliveries.may_go(
            self._clock(), account=account, guild_ids=guild_ids, limit=room, tried=False
        )
        return in_turns(found, room)

    def _judged(
        self, tx: Transaction, chosen: Sequence[Delivery]
    ) -> tuple[Mapping[int, Broadcast], list[Delivery], list[Done]]:
        """Return the broadcasts to which these belong, what may be tried, and what becomes of the others."""
        if not chosen:
            return {}, [], []
        # What somebody is deciding about has its turn next time.
        broadcasts = tx.broadcasts.heads({one.broadcast_id for one in chosen}, waiting=False)
        fit: list[Delivery] = []
        given_up: list[Done] = []
        for one in chosen:
            if (broadcast := broadcasts.get(one.broadcast_id)) is None:
                continue
            if outcome := self._settlement.given_up(one, broadcast, self._settlement.trust(tx, one.account)):
                given_up.append(Done(one, outcome))
            else:
                fit.append(one)
        return broadcasts, fit, given_up

    def pace(self, since: float) -> None:
        """Claim fewer at once where the database is slow to commit them, and more where it is fast again."""
        slow = self._steady() - since > SLOW_SECONDS
        self._most = max(1, self._most // 2) if slow else min(WIDTH, self._most * 2)

    def _guilds(self) -> Sequence[int]:
        """Return the servers, each time another one first."""
        servers = self._lifecycle.policy.servers
        self._first = (self._first + 1) % len(servers)
        return [one.guild for one in (*servers[self._first :], *servers[: self._first])]


def _first_repeats(chosen: Iterable[Delivery], most: int) -> Iterable[Delivery]:
    return islice((one for one in chosen if in_doubt(one.past)), max(0, most))


def in_turns(waiting: Sequence[Sequence[Delivery]], most: int) -> list[Delivery]:
    """Return so many of what waits, one of each after the other."""
    mixed = chain.from_iterable(zip_longest(*waiting))
    return list(islice((one for one in mixed if one is not None), most))
