"""Who is at the simulated Whop: people, the products that they own, and the experiences that these open."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import count
from typing import Final, NamedTuple

# What people by number are called; each has the number behind it.
_FIRST_NAMES: Final = (
    *("ava", "ben", "cleo", "dan", "edda", "finn", "gwen", "hugo", "ines", "jan", "kaya", "leo", "mila"),
    *("nils", "olga", "pia", "quinn", "rosa", "sven", "tess", "ugo", "vera", "will", "xenia", "yara", "zoe"),
)
_NUMBERED: Final = re.compile(r"user_([0-9]{6})", re.ASCII)
_NAME: Final = re.compile(r"[a-z]+([0-9]{6})", re.ASCII)
# Numbers that people have: as many as six digits can tell apart.
MOST: Final = 1_000_000


class Person(NamedTuple):
    """A user id and a username."""

    id: str
    username: str


def numbered(number: int) -> str:
    """Return the user id of somebody by number, from 0 to 999,999: they need no memory."""
    return f"user_{number:06}"


@dataclass(slots=True, kw_only=True)
class Owners:
    """Who owns a product: a crowd by number, and some by id; who left is remembered."""

    crowd: range = range(0)
    named: list[str] = field(default_factory=list[str])
    left: set[str] = field(default_factory=set[str])
    # Every so many rows name no user; 0 for none.
    nameless_every: int = 0

    def __contains__(self, user: object) -> bool:
        """Tell whether somebody owns it now."""
        return user not in self.left and self._ever(user)

    def __iter__(self) -> Iterator[str]:
        """Return each user id."""
        return (user for _, user, _ in self.rows(0))

    def __len__(self) -> int:
        """Return how many own it now."""
        return len(self.crowd) + len(self.named) - sum(map(self._ever, self.left))

    def rows(self, start: int) -> Iterator[tuple[int, str, bool]]:
        """Return position, user id and whether a page tells it, from a position on; nobody moves up."""
        for position in count(start):
            if position >= len(self.crowd) + len(self.named):
                return
            user = self._at(position)
            if user not in self.left:
                every = self.nameless_every
                yield position, user, not every or (position + 1) % every != 0

    def now(self) -> "Owners":
        """Return a copy that keeps what it is at this moment."""
        return replace(self, named=[*self.named], left={*self.left})

    def _at(self, position: int) -> str:
        crowd = self.crowd
        return numbered(crowd[position]) if position < len(crowd) else self.named[position - len(crowd)]

    def _ever(self, user: object) -> bool:
        match = _NUMBERED.fullmatch(user) if isinstance(user, str) else None
        return bool(match and int(match[1]) in self.crowd) or user in self.named


class Reached:
    """Whom a push reached: the owners of that moment, or named people, or nobody knows."""

    def __init__(self, parts: Sequence[Owners | Iterable[str]] | None) -> None:
        self.is_known = parts is not None
        self._owners = [one for one in parts or () if isinstance(one, Owners)]
        self._named = {user for one in parts or () if not isinstance(one, Owners) for user in one}

    def __contains__(self, user: object) -> bool:
        """Tell whether somebody got it."""
        return user in self._named or any(user in one for one in self._owners)

    def __iter__(self) -> Iterator[str]:
        """Return each one who got it, once."""
        yield from self._named
        for place, owners in enumerate(self._owners):
            earlier = self._owners[:place]
            for user in owners:
                if user not in self._named and not any(user in one for one in earlier):
                    yield user

    @cached_property
    def people(self) -> int | None:
        """Return how many different people got it; None if nobody knows."""
        return sum(1 for _ in self) if self.is_known else None


UNKNOWN: Final = Reached(None)


@dataclass(slots=True, kw_only=True)
class People:
    """Everybody at the simulated Whop; without products and experiences nobody can be counted."""

    # The owners of each product, and the products that open each experience.
    products: dict[str, Owners] = field(default_factory=dict[str, Owners])
    experiences: dict[str, Sequence[str]] = field(default_factory=dict[str, Sequence[str]])
    team: list[str] = field(default_factory=list[str])
    # Of those who are not known by number.
    usernames: dict[str, str] = field(default_factory=dict[str, str])
    # What Whop calls these products and experiences.
    names: dict[str, str] = field(default_factory=dict[str, str])
    hides_counts: bool = False

    def named(self, identifiers: Iterable[str]) -> dict[str, str]:
        """Return each of them with its name, or else itself."""
        return {one: self.names.get(one, one) for one in identifiers}

    @classmethod
    def of(cls, experiences: Mapping[str, Iterable[str]]) -> "People":
        """Return people by what they have access to; each experience has a product of its own."""
        products = {f"prod_{name.partition('_')[2]}": [*users] for name, users in experiences.items()}
        return cls(
            products={name: Owners(named=users) for name, users in products.items()},
            experiences={name: [f"prod_{name.partition('_')[2]}"] for name in experiences},
        )

    def leave(self, user: str) -> None:
        """Let somebody leave everything."""
        for owners in self.products.values():
            owners.left.add(user)

    def find(self, typed: str) -> Person | None:
        """Return who has that user id or username."""
        ids = {name: user for user, name in self.usernames.items()}
        if user := ids.get(typed) or (typed if typed in self.usernames else None):
            return Person(user, self.usernames[user])
        by_name = _NAME.fullmatch(typed)
        match = by_name or _NUMBERED.fullmatch(typed)
        user = numbered(int(match[1])) if match else typed
        if not self._is_known(user) or (by_name and self.username(user) != typed):
            return None
        return Person(user, self.username(user))

    def username(self, user: str) -> str:
        """Return what somebody is called."""
        if name := self.usernames.get(user):
            return name
        match = _NUMBERED.fullmatch(user)
        return f"{_FIRST_NAMES[int(match[1]) % len(_FIRST_NAMES)]}{match[1]}" if match else user.lower()

    def owners_in(self, experience: str) -> list[Owners]:
        """Return the owners of each product that opens an experience."""
        opened = self.experiences.get(experience, ())
        return [self.products[one] for one in opened if one in self.products]

    def has_access(self, user: str, resource: str) -> bool:
        """Tell whether somebody can enter an experience, owns a product or anything of a company."""
        kind = resource.partition("_")[0]
        if kind == "biz":
            return user in self.team or any(user in one for one in self.products.values())
        owners = self.owners_in(resource) if kind == "exp" else [self.products.get(resource, Owners())]
        return any(user in one for one in owners)

    def reached(
        self,
        *,
        experiences: Iterable[str] = (),
        products: Iterable[str] = (),
        companies: Iterable[str] = (),
        users: Iterable[str] = (),
        teams: Iterable[str] = (),
    ) -> Reached:
        """Return whom a send reaches; nobody knows who is where nobody was put."""
        parts: list[Owners | Iterable[str]] = [[*users]]
        for one in experiences:
            if one not in self.experiences:
                return UNKNOWN
            parts += [owners.now() for owners in self.owners_in(one)]
        for one in products:
            if one not in self.products:
                return UNKNOWN
            parts.append(self.products[one].now())
        if [*companies]:
            if not self.products:
                return UNKNOWN
            parts += [owners.now() for owners in self.products.values()]
        if [*teams]:
            parts.append([*self.team])
        return Reached(parts)

    def mentioned(self, experience: str, users: Iterable[str]) -> Reached:
        """Return whom of these a send to an experience reaches: those who are in it."""
        known = experience in self.experiences
        return Reached([[user for user in users if not known or self.has_access(user, experience)]])

    def _is_known(self, user: str) -> bool:
        return user in self.team or any(user in owners for owners in self.products.values())
