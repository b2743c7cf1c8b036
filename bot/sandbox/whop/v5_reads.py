"""What the v5 generation tells: memberships and their total, users, what they have access to, and names."""

from itertools import islice
from typing import Final

from bot.sandbox.whop.call import Answer, Call, Catalogue, Refusal
from bot.sandbox.whop.fields import Malformed, read_number
from bot.sandbox.whop.people import Owners, People
from bot.sandbox.whop.v1_reads import ACCOUNT, MEMBERS, access_of

LARGEST_PAGE: Final = 50
Row = dict[str, object]


class Reads:
    """Answer questions from what exists at the simulated Whop."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue

    def answer(self, call: Call) -> Answer:
        """Answer a question, or raise a Refusal."""
        match call.path.split("/"):
            case ["app", "notification_topics"]:
                topics = self._catalogue.topics
                return _paged(call, [_topic_row(*topic) for topic in topics])
            case ["app", "memberships"]:
                return self._memberships(call)
            case ["app", "users", one]:
                return Answer.of(200, self._user(one))
            case ["app", "users", one, "access", resource]:
                user = self._user(one)
                return Answer.of(200, access_of(self._people, str(user["id"]), resource))
            case ["app", "experiences", one]:
                known = self._people.named(self._people.experiences) | self._catalogue.experiences
                return Answer.of(200, {"name": _named(known, one), "id": one, "company_id": ACCOUNT})
            case ["app", "products", one]:
                known = self._people.named(self._people.products) | self._catalogue.products
                return Answer.of(200, {"name": _named(known, one), "id": one, "company_id": ACCOUNT})
            case ["app", "companies", one]:
                return Answer.of(200, {"id": one, "title": "Sandbox", "route": "sandbox"})
            case _:
                raise Refusal(404, "not_found", f"No route matches {call.method} /api/v5/{call.path}")

    @property
    def _people(self) -> People:
        return self._catalogue.people

    def _memberships(self, call: Call) -> Answer:
        if MEMBERS not in self._catalogue.permissions:
            raise Refusal(403, "forbidden", f"This credential lacks the permission {MEMBERS}")
        page, per = _place(call)
        lists = self._lists(call)
        total = sum(len(owners) for _, owners in lists)
        users = (user for _, owners in lists for user in owners)
        rows = [_membership(user) for user in islice(users, (page - 1) * per, page * per)]
        return Answer.of(
            200,
            {
                "pagination": _pagination(page, per, 0 if self._people.hides_counts else total),
                "data": rows,
            },
        )

    def _lists(self, call: Call) -> list[tuple[str, Owners]]:
        products = self._people.products
        if one := call.params.get("product_id"):
            return [(one, products[one])] if one in products else []
        if one := call.params.get("experience_id"):
            opened = self._people.experiences.get(one, ())
            return [(name, products[name]) for name in opened if name in products]
        return [*products.items()]

    def _user(self, typed: str) -> Row:
        person = self._people.find(typed)
        if person is None:
            raise Refusal(404, "not_found", f"No user {typed}")
        return {"id": person.id, "username": person.username, "name": person.username.title()}


def _place(call: Call) -> tuple[int, int]:
    try:
        return (
            read_number(call, "page", default=1, most=100_000),
            read_number(call, "per", default=10, most=LARGEST_PAGE),
        )
    except Malformed as error:
        raise Refusal(400, "bad_request", str(error)) from None


def _paged(call: Call, rows: list[Row]) -> Answer:
    page, per = _place(call)
    pagination = _pagination(page, per, len(rows))
    return Answer.of(200, {"pagination": pagination, "data": rows[(page - 1) * per : page * per]})


def _pagination(page: int, per: int, total: int) -> Row:
    pages = max(1, -(-total // per))
    return {
        "current_page": page,
        "total_pages": pages,
        "next_page": page + 1 if page < pages else None,
        "prev_page": page - 1 if page > 1 else None,
        "total_count": total,
    }


def _named(known: dict[str, str], identifier: str) -> str:
    if identifier not in known:
        raise Refusal(404, "not_found", f"No {identifier}")
    return known[identifier]


def _membership(user: str) -> Row:
    number = user.removeprefix("user_")
    return {"id": f"mem_{number}", "user_id": user, "status": "active", "valid": True, "quantity": 1}


def _topic_row(identifier: str, name: str) -> Row:
    return {
        "topic_identifier": identifier,
        "name": name,
        "topic_type": "custom",
        "status": "active",
        "notification_channel_identifiers": ["in_app", "mobile"],
    }
