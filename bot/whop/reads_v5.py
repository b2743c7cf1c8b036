"""Reading how many people are in an audience by Whop's v5: one total for each target. Pure."""

from datetime import datetime
from typing import Any, Final
from urllib.parse import urlencode

from bot.delivery import NoAnswer, Request, Response
from bot.policy.audience import Targets
from bot.whop.answers import as_object
from bot.whop.api_log import get
from bot.whop.reads import (
    INSTALLED,
    MOST_PEOPLE,
    Failed,
    Member,
    Part,
    Source,
    find_page,
    in_path,
    kind_of,
    read_title,
    read_user,
    read_whether,
)

# The parameter that narrows memberships to one target, by the kind of its id.
_NARROWS: Final = {"prod": "product_id", "biz": "company_id", "exp": "experience_id"}
_NAMED: Final = {"exp": "experiences", "prod": "products", "biz": "companies"}


class ReadsV5:
    """Totals of valid memberships.

    Documented: `memberships` with company_id, product_id, experience_id, valid and per, and its pagination.
    Inferred: that its total counts what a send to that target reaches. It counts memberships, so a person who
    has two is in it twice: it is the most there can be. Inferred from programs that ask so: users/{id} and
    users/{id}/access/{experience}; whether a username is taken there is not documented.
    """

    def __init__(self, base: str) -> None:
        self._base = base

    def sources(self, targets: Targets) -> tuple[Source, ...]:
        """Ask for one total for each product, company and experience."""
        named = (*targets.products, *targets.companies, *targets.experiences)
        return tuple(Source(kind="total", of=one) for one in named)

    def ask(self, source: Source) -> Request:
        """Ask for the shortest page of memberships, which bears the total."""
        narrows = _NARROWS.get(kind_of(source.of) or "", "product_id")
        query = urlencode({narrows: source.of, "valid": "true", "per": 1})
        return get(f"{self._base}/app/memberships?{query}")

    def read(self, source: Source, answer: Response | NoAnswer, *, now: datetime) -> Part | Failed:
        """Return the total; 0 is what Whop says where it does not tell."""
        page = find_page(answer, about=source.of, needs=INSTALLED, now=now)
        if isinstance(page, Failed):
            return page
        total: Any = as_object(page.get("pagination")).get("total_count")
        if isinstance(total, bool) or not isinstance(total, int) or not 0 <= total <= MOST_PEOPLE:
            return Failed(f"Whop's answer about {source.of} has no number of people")
        if not total:
            return Failed(f"Whop did not tell how many people {source.of} reaches")
        return Part(people=total)

    def ask_person(self, typed: str) -> Request:
        """Ask by user id; whether v5 takes a username is not documented."""
        return get(f"{self._base}/app/users/{in_path(typed)}")

    def read_person(self, answer: Response | NoAnswer, *, now: datetime) -> Member | Failed | None:
        """Return the user; None for 404."""
        return read_user(answer, now=now)

    def ask_access(self, user: str, experience: str) -> Request:
        """Ask by user id."""
        return get(f"{self._base}/app/users/{in_path(user)}/access/{in_path(experience)}")

    def read_access(self, answer: Response | NoAnswer, *, now: datetime) -> bool | Failed:
        """Return what Whop calls `has_access`."""
        return read_whether(answer, now=now)

    def ask_name(self, of: str) -> Request | None:
        """Ask for the experience, product or company itself."""
        path = _NAMED.get(kind_of(of) or "")
        return get(f"{self._base}/app/{path}/{in_path(of)}") if path else None

    def read_name(self, answer: Response | NoAnswer, *, now: datetime) -> str | Failed:
        """Return its name or title."""
        return read_title(answer, now=now)
