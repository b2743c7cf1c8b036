"""What the v1 generation tells: experiences, products, members, the team, users and their access."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Final

from bot.sandbox.whop.call import Answer, Call, Catalogue, Refusal
from bot.sandbox.whop.fields import Malformed, read_number
from bot.sandbox.whop.people import People
from bot.sandbox.whop.spoiled import AGAIN

MEMBERS: Final = "member:basic:read"
LARGEST_PAGE: Final = 100
# Whoever owns everything here.
ACCOUNT: Final = "biz_sandbox"
_COMPANY: Final = {"id": ACCOUNT, "title": "Sandbox", "route": "sandbox"}

Row = dict[str, object]


class Reads:
    """Answer questions from what exists at the simulated Whop."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue

    def answer(self, call: Call, *, account_field: str) -> Answer:
        """Answer a question, or raise a Refusal; the company is named by the field of the call's version."""
        match call.path.split("/"):
            case ["members"]:
                return self._members(call)
            case ["experiences" | "products" | "team_members" as kind]:
                if not call.params.get(account_field):
                    raise invalid(f"Missing required parameter: {account_field}")
                return paged(call, self._rows(kind, product=call.params.get("product_id")))
            case ["experiences" | "products" | "users" | "accounts" as kind, one]:
                return Answer.of(200, self._one(kind, one))
            case ["users", one, "access", resource]:
                return self._access(one, resource)
            case _:
                raise Refusal(404, "not_found", f"No route matches {call.method} /api/v1/{call.path}")

    def _rows(self, kind: str, *, product: str | None) -> list[Row]:
        if kind == "experiences":
            return self._experiences(product)
        if kind == "products":
            return [self._product(one) for one in self._product_names()]
        return [_team_member(user, self._people) for user in self._people.team]

    def _one(self, kind: str, identifier: str) -> Row:
        if kind == "experiences":
            return self._experience(identifier, self._experience_names())
        if kind == "products":
            return {**self._product(identifier), "company": _COMPANY}
        return self._user(identifier) if kind == "users" else {**_COMPANY, "id": identifier}

    @property
    def _people(self) -> People:
        return self._catalogue.people

    def _experience_names(self) -> dict[str, str]:
        return self._people.named(self._people.experiences) | self._catalogue.experiences

    def _product_names(self) -> dict[str, str]:
        return self._people.named(self._people.products) | self._catalogue.products

    def _experiences(self, product: str | None) -> list[Row]:
        names = self._experience_names()
        opened = self._people.experiences
        return [
            self._experience(one, names) for one in names if not product or product in opened.get(one, ())
        ]

    def _experience(self, identifier: str, names: Mapping[str, str]) -> Row:
        if identifier not in names:
            raise Refusal(404, "not_found", f"No experience {identifier}")
        products = self._people.experiences.get(identifier, ())
        titles = self._product_names()
        return {
            "id": identifier,
            "name": names[identifier],
            "is_public": False,
            "products": [{"id": one, "title": titles.get(one, one), "route": one} for one in products],
            "company": _COMPANY,
        }

    def _product(self, identifier: str) -> Row:
        titles = self._product_names()
        if identifier not in titles:
            raise Refusal(404, "not_found", f"No product {identifier}")
        owners = self._people.products.get(identifier, ())
        # 0 is what Whop gives when public counts are hidden.
        shown = 0 if self._people.hides_counts else len(owners)
        return {"id": identifier, "title": titles[identifier], "member_count": shown}

    def _members(self, call: Call) -> Answer:
        if MEMBERS not in self._catalogue.permissions:
            raise Refusal(403, "forbidden", f"This credential lacks the permission {MEMBERS}")
        asked = call.params.get("product_ids")
        products = asked.split(",") if asked else list(self._people.products)
        known = self._product_names()
        if strange := [one for one in products if one not in known]:
            raise Refusal(404, "not_found", f"No product {', '.join(strange)}")
        first = _first(call)
        place, position = _cursor(call.params.get("after"))
        found = list(islice(self._owners(products, place, position), first + 1))
        page = found[:first]
        data = [_member(user if told else None, self._people) for _, user, told in page]
        return Answer.of(200, {"data": data, "page_info": _info([one for one, _, _ in found], first)})

    def _owners(self, products: Sequence[str], place: int, position: int) -> Iterator[tuple[str, str, bool]]:
        """Return the cursor behind each member, the user, and whether it is told; each person once."""
        for number in range(place, len(products)):
            owners = self._people.products.get(products[number])
            earlier = [
                self._people.products[one] for one in products[:number] if one in self._people.products
            ]
            for at, user, told in owners.rows(position if number == place else 0) if owners else ():
                if not any(user in one for one in earlier):
                    yield f"mber_{number}_{at + 1}", user, told

    def _user(self, typed: str) -> Row:
        person = self._people.find(typed)
        if person is None:
            raise Refusal(404, "not_found", f"No user {typed}")
        return {"id": person.id, "username": person.username, "name": person.username.title(), "bio": None}

    def _access(self, typed: str, resource: str) -> Answer:
        user = self._people.find(typed)
        known = {**self._experience_names(), **self._product_names()}
        if user is None or (resource not in known and not resource.startswith("biz_")):
            raise Refusal(404, "not_found", f"No {resource if user else f'user {typed}'}")
        return Answer.of(200, access_of(self._people, user.id, resource))


def access_of(people: People, user: str, resource: str) -> Row:
    """Return what both generations say of a user's access."""
    level = (
        "admin" if user in people.team else "customer" if people.has_access(user, resource) else "no_access"
    )
    return {"has_access": level != "no_access", "access_level": level}


def paged(call: Call, rows: list[Row]) -> Answer:
    """Answer with one page of rows; a cursor is the id of the row before the page."""
    first = _first(call)
    start = _after(call.params.get("after"), rows)
    page = rows[start : start + first]
    info = _info([str(row["id"]) for row in rows[start:]], first)
    return Answer.of(200, {"data": page, "page_info": info | {"has_previous_page": start > 0}})


def invalid(message: str) -> Refusal:
    """Refuse a call that is wrong."""
    return Refusal(400, "invalid_request", message)


def _first(call: Call) -> int:
    try:
        return read_number(call, "first", default=50, most=LARGEST_PAGE)
    except Malformed as error:
        raise invalid(str(error)) from None


def _info(cursors: Sequence[str], first: int) -> Row:
    page = cursors[:first]
    return {
        "start_cursor": page[0] if page else None,
        "end_cursor": page[-1] if page else None,
        "has_next_page": len(cursors) > first,
        "has_previous_page": False,
    }


def _after(cursor: str | None, rows: list[Row]) -> int:
    if cursor in {None, AGAIN}:
        return 0
    for index, row in enumerate(rows):
        if row["id"] == cursor:
            return index + 1
    raise invalid("after: not a cursor of this list")


def _cursor(after: str | None) -> tuple[int, int]:
    if after is None or after == AGAIN:
        return 0, 0
    parts = after.split("_")
    if len(parts) != 3 or parts[0] != "mber" or not all(one.isdecimal() for one in parts[1:]):
        raise invalid("after: not a cursor of this list")
    return int(parts[1]), int(parts[2])


def _member(user: str | None, people: People) -> Row:
    return {
        "id": f"mber_{(user or 'user_gone').removeprefix('user_')}",
        "created_at": "2026-01-31T09:41:00.000Z",
        "updated_at": "2026-01-31T09:41:00.000Z",
        "joined_at": "2026-01-31T09:41:00.000Z",
        "access_level": "customer",
        "status": "joined",
        "most_recent_action": "paid_subscriber",
        "most_recent_action_at": "2026-11-01T09:41:00.000Z",
        "usd_total_spent": 49.0,
        "phone": None,
        "user": user and {"id": user, "username": people.username(user), "name": None, "email": None},
        "company": _COMPANY,
    }


def _team_member(user: str, people: People) -> Row:
    named = {"id": user, "username": people.username(user), "name": None}
    return {
        "id": f"ausr_{user.removeprefix('user_')}",
        "status": "joined",
        "role": "moderator",
        "user": named,
    }
