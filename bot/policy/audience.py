"""Whom a broadcast can reach: named audiences and their targets."""

from collections.abc import Mapping, Set
from typing import Self

from pydantic import model_validator

from bot.characters import spelling
from bot.policy.fields import (
    Approvals,
    Beyond,
    CompanyId,
    CoolDown,
    DailyCap,
    ExperienceId,
    Name,
    OwnQuietSpan,
    People,
    ProductId,
    Reach,
    Roles,
    Several,
    UserId,
    WhenQuiet,
    ZoneName,
)
from bot.policy.section import Section


class UsersInExperience(Section):
    """Named people inside one experience (v1 only); they receive it as a mention."""

    experience: ExperienceId
    users: Several[UserId]


class Targets(Section):
    """Whom Whop reaches. Which kinds there are depends on the API generation."""

    users: Several[UserId] = ()
    products: Several[ProductId] = ()
    companies: Several[CompanyId] = ()
    experiences: Several[ExperienceId] = ()
    team: CompanyId | None = None
    users_in_experience: UsersInExperience | None = None

    def kinds(self) -> tuple[str, ...]:
        """Return the names of the kinds that are given."""
        return tuple(name for name in type(self).model_fields if getattr(self, name))

    def named(self) -> Set[str]:
        """Return the people who are named one by one."""
        inside = self.users_in_experience
        return {*self.users, *(inside.users if inside else ())}

    @model_validator(mode="after")
    def _somebody_once(self) -> Self:
        if not self.kinds():
            raise ValueError(f"name at least one target: {', '.join(type(self).model_fields)}")
        named = self.users_in_experience
        if named is not None and named.experience in self.experiences:
            raise ValueError(
                f"{named.experience} stands in experiences too, so these users would get it twice:"
                " remove one of the two"
            )
        return self


class Listed(Section):
    """People of a list that somebody brought along, as they confirmed it: how many, and by which digest.

    Until they have, it is of nobody. `name` is that of the file; `experience` where they are reached (v1).
    """

    name: str
    experience: str | None = None
    people: int = 0
    digest: str = ""

    @property
    def known_by(self) -> tuple[int, str]:
        """Return by what it is known who they are: how many, and their digest."""
        return self.people, self.digest


class ListTargets(Targets):
    """The people of such a list; herald.toml has no key for it, so nobody can write it there."""

    listed: Listed


class Audience(Section):
    """A named set of targets; nobody types a raw id to reach customers."""

    name: Name
    targets: Targets
    compose: Roles | None = None
    approvals: Approvals | None = None
    corrections: Approvals | None = None
    size: People | None = None
    reach: Reach = "everyone"
    time_zone: ZoneName | None = None
    quiet_hours: OwnQuietSpan | None = None
    in_quiet_hours: WhenQuiet | None = None
    cool_down: CoolDown | None = None
    daily_cap: DailyCap | None = None
    beyond: Beyond | None = None

    def reached(self) -> frozenset[tuple[str, str]]:
        """Return each target that is named, with its kind: two audiences that share one share people."""
        given = self.targets
        inside = given.users_in_experience
        named = {kind: getattr(given, kind) for kind in ("users", "products", "companies", "experiences")}
        named["users"] = (*named["users"], *(inside.users if inside else ()))
        named["team"] = (given.team,) if given.team else ()
        return frozenset((kind, one) for kind, those in named.items() for one in those)

    def bound(self) -> int | None:
        """Return how many people it reaches at most, as the policy knows; None if it does not say.

        They are never fewer than it names, whatever size it claims.
        """
        named = len(self.targets.named())
        if self.size is not None:
            return max(self.size, named)
        return named if self.is_named_one_by_one else None

    @property
    def is_named_one_by_one(self) -> bool:
        """Tell whether everybody is named whom it reaches: nobody has to be asked who they are."""
        return {*self.targets.kinds()} <= {"users", "users_in_experience", "listed"}

    @property
    def is_for_trials(self) -> bool:
        """Tell whether it reaches nobody but the team and people whom the policy names one by one."""
        return {*self.targets.kinds()} <= {"users", "users_in_experience", "team"}

    def is_open_to(self, roles: Set[int]) -> bool:
        """Tell whether holders of these roles may compose for it, if they may compose at all."""
        return self.compose is None or not roles.isdisjoint(self.compose)

    @property
    def is_once(self) -> bool:
        """Tell whether each of its people is found and named, so that they get it once."""
        return self.reach == "once"

    def is_named(self, typed: str) -> bool:
        """Tell whether exactly its name was typed: another may differ by one sign, or by a capital."""
        return spelling(typed) == spelling(self.name)

    def definition(self) -> Mapping[str, object]:
        """Return what is fingerprinted: the name people approve, and whom it reaches."""
        whom = {"name": self.name, "targets": self.targets.model_dump(mode="json")}
        return whom | {"reach": self.reach} if self.is_once else whom
