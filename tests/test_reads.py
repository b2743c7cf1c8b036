"""Reading who is in an audience: everybody once, to an end, and never an invented number."""

import json
from dataclasses import replace
from datetime import timedelta
from itertools import count
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.delivery import NoAnswer, Request, Response
from bot.policy.audience import Targets, UsersInExperience
from bot.sandbox.whop import Owners, People, SimulatedWhop
from bot.sandbox.whop.v1 import ACCOUNT
from bot.sandbox.whop.v1_reads import MEMBERS
from bot.whop import gateway_for
from bot.whop.reads import MOST_PAGES, Failed, Member, Part, Reads, Source, refuse_kind
from tests.harness.reading import NOW, asking, read_all

ORIGIN = "https://api.whop.com"
GENERATIONS = pytest.mark.parametrize("generation", ["v1", "v5"])


def reads_of(generation: str) -> Reads:
    return gateway_for(generation, origin=ORIGIN).reads


def whop_with(people: People) -> SimulatedWhop:
    return SimulatedWhop(clock=lambda: NOW, people=people)


def answer(body: object, *, status: int = 200, **headers: str) -> Response:
    said = body if isinstance(body, str) else json.dumps(body)
    return Response(status=status, headers={k.replace("_", "-"): v for k, v in headers.items()}, body=said)


def page(*rows: object, after: str | None = None, **info: object) -> dict[str, Any]:
    return {"data": rows, "page_info": {"end_cursor": after, "has_next_page": after is not None} | info}


def row(user: str) -> dict[str, Any]:
    return {"id": f"mber_{user}", "user": {"id": f"user_{user}", "username": user}}


PEOPLE = People(
    products={
        "prod_gold": Owners(crowd=range(250), nameless_every=50),
        "prod_silver": Owners(crowd=range(200, 330), named=["user_maya"]),
        "prod_unused": Owners(),
    },
    experiences={"exp_gold": ["prod_gold"], "exp_both": ["prod_gold", "prod_silver"]},
    team=["user_maya", "user_omar"],
    usernames={"user_maya": "maya", "user_omar": "omar"},
)


@pytest.mark.parametrize(
    ("targets", "people", "rows", "nameless", "questions"),
    [
        # One question for the experience, and one for each hundred owners.
        (Targets(experiences=("exp_gold",)), 245, 245, 5, 1 + 3),
        (Targets(experiences=("exp_both",)), 327, 376, 5, 1 + 3 + 2),
        (Targets(experiences=("exp_gold", "exp_both")), 327, 621, 10, 2 + 3 + 3 + 2),
        # The product tells its company, which the list of its experiences asks for.
        (Targets(products=("prod_silver",)), 131, 131, 0, 2 + 2),
        # A product that nobody owns is in no experience, which keeps nobody from being reached.
        (Targets(companies=("biz_a",)), 327, 376, 5, 1 + 3 + (3 + 2 + 1)),
        (Targets(team="biz_a"), 2, 2, 0, 1),
        (
            Targets(users_in_experience=UsersInExperience(experience="exp_gold", users=("user_a",))),
            0, 0, 0, 0,
        ),
    ],
)  # fmt: skip
def test_v1_finds_each_member_and_an_experience_in_which_they_can_be_reached(
    targets: Targets, people: int, rows: int, nameless: int, questions: int
) -> None:
    reads = reads_of("v1")
    found = read_all(reads, reads.sources(targets), asking("v1", whop_with(PEOPLE)))
    assert found.failed is None
    assert (len(found.members), found.rows, found.nameless) == (people, rows, nameless)
    assert (found.questions, found.people) == (questions, None)
    for user, via in found.members.items():
        assert via
        assert via == targets.team or PEOPLE.has_access(user, via)


@pytest.mark.parametrize(
    ("targets", "people"),
    [
        (Targets(products=("prod_gold",)), 250),
        (Targets(companies=("biz_a",)), 381),
        # Who owns both products is in it twice: it is the most there can be.
        (Targets(experiences=("exp_both",)), 381),
        (Targets(products=("prod_gold", "prod_silver")), 381),
        (Targets(users=("user_a",)), None),
    ],
)
def test_v5_tells_a_total_in_one_question_for_each_target(targets: Targets, people: int | None) -> None:
    reads = reads_of("v5")
    found = read_all(reads, reads.sources(targets), asking("v5", whop_with(PEOPLE)))
    assert (found.people, found.failed, found.members) == (people, None, {})
    assert found.questions == len(reads.sources(targets))


def test_v5_asks_by_the_parameters_that_whop_documents() -> None:
    reads = reads_of("v5")
    targets = Targets(products=("prod_a",), companies=("biz_a",), experiences=("exp_a",))
    assert [reads.ask(one).url.removeprefix(f"{ORIGIN}/api/v5/app/") for one in reads.sources(targets)] == [
        "memberships?product_id=prod_a&valid=true&per=1",
        "memberships?company_id=biz_a&valid=true&per=1",
        "memberships?experience_id=exp_a&valid=true&per=1",
    ]


def test_v1_asks_by_the_parameters_that_whop_documents() -> None:
    reads = reads_of("v1")
    for source, asked in (
        (Source(kind="products_of", of="exp_a"), "experiences/exp_a"),
        (Source(kind="experiences_of", of="prod_a"), "products/prod_a"),
        (
            Source(kind="experiences_of", of="prod_a", account="biz_a"),
            "experiences?account_id=biz_a&product_id=prod_a&first=100",
        ),
        (
            Source(kind="company_products", of="biz_a", after="c d"),
            "products?account_id=biz_a&first=100&after=c+d",
        ),
        (
            Source(kind="members", of="prod_a", account="biz_a"),
            "members?account_id=biz_a&product_ids=prod_a&membership_status=active&first=100",
        ),
        (Source(kind="team", of="biz_a"), "team_members?account_id=biz_a&status=joined&first=100"),
    ):
        request = reads.ask(source)
        assert (request.method, request.body) == ("GET", b"")
        assert request.headers == {"Api-Version-Date": "2026-10-15-1"}
        assert request.url == f"{ORIGIN}/api/v1/{asked}"


PRODUCTS = st.sampled_from([f"prod_{one}" for one in "abcd"])


@given(
    st.dictionaries(
        PRODUCTS,
        st.lists(st.integers(0, 400).map("user_{:06}".format), max_size=250),
        max_size=4,
    ),
    st.lists(st.lists(PRODUCTS, min_size=1, max_size=4), max_size=4),
)
def test_for_any_overlap_everybody_is_found_where_they_have_access(
    owned: dict[str, list[str]], opened: list[list[str]]
) -> None:
    people = People(
        products={one: Owners(named=[*dict.fromkeys(users)]) for one, users in owned.items()},
        experiences={
            f"exp_{number}": [one for one in products if one in owned]
            for number, products in enumerate(opened)
            if any(one in owned for one in products)
        },
    )
    if not people.experiences:
        return
    reads = reads_of("v1")
    targets = Targets(experiences=tuple(people.experiences))
    found = read_all(reads, reads.sources(targets), asking("v1", whop_with(people)))
    assert found.failed is None
    assert {*found.members} == {*people.reached(experiences=people.experiences)}
    assert all(via and people.has_access(user, via) for user, via in found.members.items())


def test_who_leaves_while_pages_are_read_is_left_out_and_takes_nobody_along() -> None:
    people = People(products={"prod_a": Owners(crowd=range(500))}, experiences={"exp_a": ["prod_a"]})
    ask, asked = asking("v1", whop_with(people)), count()

    def leaving(request: Request) -> Response:
        if next(asked) == 3:
            for number in (0, 150, 350, 499):
                people.leave(f"user_{number:06}")
        return ask(request)

    reads = reads_of("v1")
    found = read_all(reads, reads.sources(Targets(experiences=("exp_a",))), leaving)
    # Two had been read already; the others were read by nobody, and no one else is missing.
    assert len(found.members) == 498
    assert {"user_000000", "user_000150"} < {*found.members}


def test_a_team_needs_no_experience() -> None:
    found = reads_of("v1").read(Source(kind="team", of="biz_a"), answer(page(row("a"))), now=NOW)
    assert found == Part([Member("user_a", "a")])


# --- lies --------------------------------------------------------------------------------------------

MEMBERS_OF = Source(kind="members", of="prod_a", via="exp_a")
TEAM_OF = Source(kind="team", of="biz_a")
TOTAL = Source(kind="total", of="prod_a")
WORDS = {"error": {"type": "x", "message": "No."}}


@pytest.mark.parametrize(
    ("source", "given_answer", "failed"),
    [
        (MEMBERS_OF, answer(page(row("a"), has_next_page=True)), "does not say where it begins"),
        (MEMBERS_OF, answer(page(row("a"), has_next_page=True, end_cursor=7)), "does not say where"),
        (MEMBERS_OF, answer(page(row("a"), after="\ud800")), "does not say where"),
        (MEMBERS_OF, answer(page(row("a"), after="c" * 3000)), "does not say where"),
        (MEMBERS_OF, answer({"data": [row("a")]}), "does not say whether its list about prod_a goes on"),
        (MEMBERS_OF, answer(page(row("a"), "user_b")), "no list of objects in “data”"),
        (MEMBERS_OF, answer(page(row("a"), None)), "no list of objects"),
        (MEMBERS_OF, answer({"data": {}, "page_info": {"has_next_page": False}}), "no list of objects"),
        (MEMBERS_OF, answer(page(row("a"), {"user": {"id": "mber_1"}})), "a member of prod_a has no user id"),
        (MEMBERS_OF, answer(page({"user": {"id": "user_a\x00"}})), "has no user id"),
        (MEMBERS_OF, answer(page({"user": "user_a"})), "has no user id"),
        (MEMBERS_OF, answer([]), "is not what it documents"),
        (MEMBERS_OF, answer("", status=200), "is not what it documents"),
        (MEMBERS_OF, answer('{"data": [{"user": nu', status=200), "is not what it documents"),
        (MEMBERS_OF, answer("[" * 5000), "is not what it documents"),
        (MEMBERS_OF, answer(page() | {"success": False, "message": "No."}), "contradicts itself (200: No.)"),
        (MEMBERS_OF, answer("<html><title>Blocked</title>"), "a web page and not Whop (200: Blocked)"),
        (MEMBERS_OF, answer(WORDS, status=400), "Whop answered 400: No. when asked about prod_a"),
        (MEMBERS_OF, answer(WORDS, status=403), "needs the permission member:basic:read"),
        (MEMBERS_OF, answer(WORDS, status=401), "does not let this key read prod_a (401: No.)"),
        (TEAM_OF, answer(WORDS, status=403), "needs the permission company:authorized_user:read"),
        (MEMBERS_OF, answer(WORDS, status=404), "Whop knows no prod_a (404: No.): correct the id"),
        (
            Source(kind="members", of="prod_a"),
            answer(page(row("a"))),
            "prod_a has owners and no experience in which they can be reached",
        ),
        (
            Source(kind="products_of", of="exp_a"),
            answer({"products": []}),
            "the experience exp_a belongs to no product: nobody can tell who is in it",
        ),
        (
            Source(kind="products_of", of="exp_a"),
            answer({"products": [{"id": "prod_a"}, {"id": "exp_b"}]}),
            "no id",
        ),
        (Source(kind="products_of", of="exp_a"), answer({"products": None, "id": "exp_a"}), "no list"),
        (Source(kind="experiences_of", of="prod_a"), answer({"id": "prod_a"}), "to which company prod_a"),
        (
            Source(kind="company_products", of="biz_a"),
            answer(page({"id": "prod_a"}, {"title": "?"})),
            "no id",
        ),
        (TOTAL, answer({"pagination": {"total_count": 0}}), "did not tell how many people prod_a reaches"),
        (TOTAL, answer({"pagination": {"total_count": -3}}), "no number of people"),
        (TOTAL, answer({"pagination": {"total_count": True}}), "no number of people"),
        (TOTAL, answer({"pagination": {"total_count": "12"}}), "no number of people"),
        (TOTAL, answer({"pagination": {"total_count": 1.5}}), "no number of people"),
        (TOTAL, answer({"pagination": {"total_count": 10**12}}), "no number of people"),
        (TOTAL, answer({"pagination": [], "data": []}), "no number of people"),
        (TOTAL, answer({"message": "No."}, status=403), "does not let this key read prod_a (403: No.)"),
    ],
)
def test_a_lie_or_a_refusal_is_noticed_and_says_what_to_mend(
    source: Source, given_answer: Response, failed: str
) -> None:
    found = reads_of("v5" if source.kind == "total" else "v1").read(source, given_answer, now=NOW)
    assert isinstance(found, Failed)
    assert failed in found.why
    # What is wrong now is wrong the next time, too.
    assert (found.again, found.wait) == (False, None)


@GENERATIONS
def test_what_passes_is_worth_another_try_and_a_wait_that_whop_asks_for_is_kept(generation: str) -> None:
    source = TOTAL if generation == "v5" else MEMBERS_OF
    for failing, wait in (
        (NoAnswer(reason="no connection", bytes_left=False), None),
        (answer(WORDS, status=500), None),
        (answer("<html>", status=503), None),
        (answer(WORDS, status=408), None),
        (answer({"message": "Try again in 12 seconds."}, status=429), 12),
        (answer("", status=429, Retry_After="40"), 40),
        (answer("<html>", status=429), 60),
        (answer("", status=503, Retry_After="7"), 7),
    ):
        found = reads_of(generation).read(source, failing, now=NOW)
        assert isinstance(found, Failed)
        assert (found.again, found.wait) == (True, timedelta(seconds=wait) if wait else None)


@given(st.integers(0, 300), st.integers(1, 300))
def test_a_cursor_that_comes_back_is_noticed_soon_in_whatever_cycle(before: int, cycle: int) -> None:
    source: Source | str = MEMBERS_OF
    for step in count(1):
        cursor = step if step <= before else before + (step - before - 1) % cycle + 1
        assert isinstance(source, Source)
        # It goes on after a restart: what it knows is kept as text.
        source = Source.model_validate_json(source.model_dump_json()).next_page(str(cursor))
        if isinstance(source, str):
            assert before + cycle < step <= 4 * (before + cycle) + 2
            return


def test_a_page_that_says_that_it_comes_next_itself_is_noticed_at_once() -> None:
    source: Source | str = MEMBERS_OF
    for cursor in ("a", "b", "c"):
        assert isinstance(source, Source)
        source = source.next_page(cursor)
        assert isinstance(source, Source)
        assert source.next_page(cursor) == "Whop gives a page again that was read before"


def test_a_list_without_end_is_given_up() -> None:
    source: Source | str = MEMBERS_OF
    for step in range(MOST_PAGES):
        assert isinstance(source, Source)
        source = source.next_page(f"fresh-{step}")
    assert source == "Whop's list goes on after 10,000 pages"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
NAMES = ("data", "page_info", "pagination", "products", "company", "account", "id", "username", "has_access")
ODD = st.dictionaries(st.sampled_from(NAMES), JSON | st.just([{"id": "prod_a"}]), max_size=6)
USERS = st.sampled_from([{"id": "user_a", "username": "\ud800"}, {"id": "user_a"}, None, {}, "user_a"])
ROWS = st.lists(st.fixed_dictionaries({"user": USERS}) | ODD, max_size=4)
INFO = st.fixed_dictionaries(
    {"has_next_page": st.booleans() | JSON, "end_cursor": st.text(max_size=3) | JSON}
)
PAGES = st.fixed_dictionaries({"data": ROWS, "page_info": INFO}) | ODD | JSON
BODIES = PAGES.map(json.dumps) | st.text(max_size=40) | PAGES.map(lambda one: json.dumps(one)[:-1])
HEADERS = st.dictionaries(st.sampled_from(["Retry-After", "Content-Type", "Date"]), st.text(max_size=9))
ANSWERS = st.builds(
    Response, status=st.sampled_from([200, 200, 200, 204, 301, 400, 403, 404, 429, 500]), headers=HEADERS,
    body=BODIES,
) | st.builds(NoAnswer, reason=st.just("no connection"), bytes_left=st.booleans())  # fmt: skip
SOURCES = st.builds(
    Source,
    kind=st.sampled_from(["total", "products_of", "experiences_of", "company_products", "members", "team"]),
    of=st.sampled_from(["exp_a", "prod_a", "biz_a"]),
    via=st.none() | st.just("exp_a"),
    account=st.none() | st.just("biz_a"),
    after=st.none() | st.text(max_size=3),
    landmark=st.none() | st.text(max_size=3),
    steps=st.integers(0, 9),
    power=st.sampled_from([1, 2, 8, 16]),
)


@GENERATIONS
@given(source=SOURCES, said=ANSWERS)
def test_whatever_comes_back_there_is_a_part_or_a_sentence(
    generation: str, source: Source, said: Response | NoAnswer
) -> None:
    reads = reads_of(generation)
    found = reads.read(source, said, now=NOW)
    assert isinstance(found, Part | Failed)
    if isinstance(found, Failed):
        assert found.why.isprintable()
        return
    # What is to be asked next can be asked, and be kept as text until then.
    for following in found.then:
        assert Source.model_validate_json(following.model_dump_json()) == following
        assert reads.ask(following).url.isascii()
    for member in found.members:
        assert member.id.startswith("user_")
        assert (member.id + member.username).isprintable()


@GENERATIONS
@given(said=ANSWERS, typed=st.text(max_size=12))
def test_whatever_comes_back_about_a_person_there_is_an_answer_or_a_sentence(
    generation: str, said: Response | NoAnswer, typed: str
) -> None:
    reads = reads_of(generation)
    for request in (reads.ask_person(typed), reads.ask_access(typed, typed), reads.ask_name(typed)):
        assert request is None or request.url.isascii()
    person = reads.read_person(said, now=NOW)
    assert person is None or isinstance(person, Member | Failed)
    assert isinstance(reads.read_access(said, now=NOW), bool | Failed)
    assert isinstance(reads.read_name(said, now=NOW), str | Failed)


@given(st.lists(PAGES.map(json.dumps), min_size=1, max_size=5))
def test_whatever_is_answered_reading_ends(bodies: list[str]) -> None:
    reads, asked = reads_of("v1"), count()

    def ask(_request: Request) -> Response:
        return answer(bodies[next(asked) % len(bodies)])

    targets = Targets(experiences=("exp_a",), products=("prod_a",), companies=("biz_a",), team="biz_a")
    assert read_all(reads, reads.sources(targets), ask).questions < 100


# --- people and names ---------------------------------------------------------------------------------


@GENERATIONS
def test_people_are_found_by_id_or_name_and_their_access_is_told(generation: str) -> None:
    reads, ask = reads_of(generation), asking(generation, whop_with(PEOPLE))

    def person(typed: str) -> Member | Failed | None:
        return reads.read_person(ask(reads.ask_person(typed)), now=NOW)

    assert person("user_maya") == person("maya") == person(" @maya ") == Member("user_maya", "maya")
    assert person("user_000007") == person(PEOPLE.username("user_000007"))
    assert person("nobody") is person("user_999999") is person("../experiences") is None

    def access(user: str, experience: str) -> bool | Failed:
        return reads.read_access(ask(reads.ask_access(user, experience)), now=NOW)

    assert [access(user, "exp_gold") for user in ("user_000007", "user_000300")] == [True, False]


@GENERATIONS
def test_whop_tells_what_it_calls_an_experience_a_product_and_a_company(generation: str) -> None:
    people = replace(PEOPLE, names={"exp_gold": "Lounge", "prod_gold": "Gold\u202e"})
    reads, ask = reads_of(generation), asking(generation, whop_with(people))

    def name(of: str) -> str | Failed | None:
        request = reads.ask_name(of)
        return request and reads.read_name(ask(request), now=NOW)

    assert [name(of) for of in ("exp_gold", "prod_gold", ACCOUNT)] == ["Lounge", "Gold", "Sandbox"]
    assert name("user_maya") is None
    assert isinstance(name("exp_other"), Failed)


def test_an_id_of_the_wrong_kind_is_told_which_one_is_wanted() -> None:
    assert (
        refuse_kind("exp_a", "user") == "exp_a is the id of an experience; the id of a user begins with user_"
    )
    assert refuse_kind("mber_a", "user") == "mber_a is the id of a member; the id of a user begins with user_"
    assert [refuse_kind(one, "user") for one in ("user_a", "maya", "my_name", "", "exp_ä")] == [None] * 5


@pytest.mark.parametrize("needed", [MEMBERS])
@GENERATIONS
def test_a_key_that_may_not_read_members_is_told_so(generation: str, needed: str) -> None:
    whop = whop_with(PEOPLE)
    whop.permissions.discard(needed)
    reads = reads_of(generation)
    found = read_all(reads, reads.sources(Targets(experiences=("exp_gold",))), asking(generation, whop))
    assert found.failed is not None
    assert needed in found.failed.why
