"""Reading who is in an audience by Whop's v1: products of an experience, their members, the team. Pure."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final
from urllib.parse import urlencode

from bot.delivery import NoAnswer, Request, Response
from bot.policy.audience import Targets
from bot.whop.answers import as_object
from bot.whop.api_log import get
from bot.whop.reads import (
    INSTALLED,
    Failed,
    Member,
    Part,
    Source,
    find_id,
    find_member,
    find_page,
    find_rows,
    in_path,
    kind_of,
    read_title,
    read_user,
    read_whether,
)

# As many rows as Whop gives at once.
ROWS: Final = 100
# What the key must be allowed, by what it reads: the first is documented, the second inferred.
_NEEDS: Final = {
    "members": "the permission member:basic:read",
    "team": "the permission company:authorized_user:read",
}
_NAMED: Final = {"exp": "experiences", "prod": "products", "biz": "accounts"}


class ReadsV1:
    """Members of products, page by page; v1 tells no totals.

    Documented: all paths and parameters. Inferred: that whoever is an active member of a product can be
    reached by name in each experience of it.
    """

    def __init__(self, base: str, *, headers: Mapping[str, str]) -> None:
        self._base = base
        self._headers = headers

    def sources(self, targets: Targets) -> tuple[Source, ...]:
        """Begin with each experience, product and company, and with the team."""
        return (
            *(Source(kind="products_of", of=one) for one in targets.experiences),
            *(Source(kind="experiences_of", of=one) for one in targets.products),
            *(Source(kind="company_products", of=one) for one in targets.companies),
            *((Source(kind="team", of=targets.team, via=targets.team),) if targets.team else ()),
        )

    def ask(self, source: Source) -> Request:
        """Ask for the experience or product itself, or for one page of a list."""
        of, account = source.of, source.account
        match source.kind:
            case "products_of":
                return self._get(f"experiences/{in_path(of)}")
            case "experiences_of" if account is None:
                # A list of experiences needs the company, which only the product tells.
                return self._get(f"products/{in_path(of)}")
            case "experiences_of":
                return self._get("experiences", account_id=account, product_id=of, first=ROWS)
            case "company_products":
                return self._get("products", account_id=of, first=ROWS, after=source.after)
            case "team":
                return self._get(
                    "team_members", account_id=of, status="joined", first=ROWS, after=source.after
                )
            case "members" | "total":
                return self._get(
                    "members",
                    account_id=account,
                    product_ids=of,
                    membership_status="active",
                    first=ROWS,
                    after=source.after,
                )

    def read(self, source: Source, answer: Response | NoAnswer, *, now: datetime) -> Part | Failed:
        """Return members, or which lists are to be read to find them."""
        page = find_page(answer, about=source.of, needs=_NEEDS.get(source.kind, INSTALLED), now=now)
        if isinstance(page, Failed):
            return page
        match source.kind:
            case "products_of":
                return _products(source, page)
            case "experiences_of" if source.account is None:
                return _company(source, page)
            case "experiences_of":
                return _experience(source, page)
            case "company_products":
                return _all_products(source, page)
            case "members" | "team" | "total":
                return _members(source, page)

    def ask_person(self, typed: str) -> Request:
        """Ask by user id or username, either of which Whop documents."""
        return self._get(f"users/{in_path(typed)}")

    def read_person(self, answer: Response | NoAnswer, *, now: datetime) -> Member | Failed | None:
        """Return the user; None for 404."""
        return read_user(answer, now=now)

    def ask_access(self, user: str, experience: str) -> Request:
        """Ask by user id or username, either of which Whop documents."""
        return self._get(f"users/{in_path(user)}/access/{in_path(experience)}")

    def read_access(self, answer: Response | NoAnswer, *, now: datetime) -> bool | Failed:
        """Return what Whop calls `has_access`."""
        return read_whether(answer, now=now)

    def ask_name(self, of: str) -> Request | None:
        """Ask for the experience, product or company itself."""
        path = _NAMED.get(kind_of(of) or "")
        return self._get(f"{path}/{in_path(of)}") if path else None

    def read_name(self, answer: Response | NoAnswer, *, now: datetime) -> str | Failed:
        """Return its name or title."""
        return read_title(answer, now=now)

    def _get(self, path: str, **asked: str | int | None) -> Request:
        query = urlencode({name: value for name, value in asked.items() if value is not None})
        return get(f"{self._base}/{path}{'?' if query else ''}{query}", self._headers)


def _owner(page: Mapping[str, Any]) -> str | None:
    """Return the company to which an experience or product belongs, by either name that Whop has for it."""
    owners = (find_id(as_object(page.get(name)), "biz") for name in ("account", "company"))
    return next((one for one in owners if one), None)


def _products(source: Source, page: Mapping[str, Any]) -> Part | Failed:
    rows = find_rows(page, "products")
    if isinstance(rows, Failed):
        return rows
    found = [find_id(row, "prod") for row in rows]
    if not found:
        return Failed(f"the experience {source.of} belongs to no product: nobody can tell who is in it")
    account = _owner(page)
    then = tuple(
        Source(kind="members", of=one, via=source.of, account=account) for one in dict.fromkeys(found) if one
    )
    return Part(then=then) if all(found) else Failed(f"a product of {source.of} has no id that Whop gives")


def _company(source: Source, page: Mapping[str, Any]) -> Part | Failed:
    account = _owner(page)
    if account is None:
        return Failed(f"Whop does not say to which company {source.of} belongs")
    return Part(then=(Source(kind="experiences_of", of=source.of, account=account),))


def _experience(source: Source, page: Mapping[str, Any]) -> Part | Failed:
    rows = find_rows(page)
    if isinstance(rows, Failed):
        return rows
    # In any of them all owners can be reached; in none, it must turn out that there are no owners.
    via = next((one for row in rows if (one := find_id(row, "exp"))), None)
    return Part(then=(Source(kind="members", of=source.of, via=via, account=source.account),))


def _all_products(source: Source, page: Mapping[str, Any]) -> Part | Failed:
    rows = find_rows(page)
    if isinstance(rows, Failed):
        return rows
    found = [find_id(row, "prod") for row in rows]
    if not all(found):
        return Failed(f"a product of {source.of} has no id that Whop gives")
    more = _more(source, page)
    if isinstance(more, Failed):
        return more
    of_each = (Source(kind="experiences_of", of=one, account=source.of) for one in found if one)
    return Part(then=(*of_each, *more))


def _members(source: Source, page: Mapping[str, Any]) -> Part | Failed:
    rows = find_rows(page)
    if isinstance(rows, Failed):
        return rows
    if rows and source.kind == "members" and source.via is None:
        return Failed(f"the product {source.of} has owners and no experience in which they can be reached")
    users = [row.get("user") for row in rows]
    members = [find_member(as_object(one)) for one in users if one is not None]
    if not all(members):
        return Failed(f"a member of {source.of} has no user id that Whop gives")
    more = _more(source, page)
    if isinstance(more, Failed):
        return more
    return Part([one for one in members if one], nameless=users.count(None), then=more)


def _more(source: Source, page: Mapping[str, Any]) -> tuple[Source, ...] | Failed:
    """Return the next page, if there is one."""
    info = as_object(page.get("page_info"))
    if not isinstance(info.get("has_next_page"), bool):
        return Failed(f"Whop does not say whether its list about {source.of} goes on")
    if not info["has_next_page"]:
        return ()
    following = source.next_page(info.get("end_cursor"))
    return Failed(f"{following} (asked about {source.of})") if isinstance(following, str) else (following,)
