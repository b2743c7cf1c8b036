"""What leaves for Whop is what both contracts ask for, byte for byte, and what people typed."""

import inspect
import json
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from itertools import count
from uuid import uuid4

import pytest
import pytest_asyncio
from hypothesis import HealthCheck, given
from hypothesis import strategies as st
from pydantic import SecretStr

from bot.delivery import Accepted, Request, Response
from bot.errors import NoRecipients
from bot.notification import Notification, Text
from bot.policy.audience import Audience, Targets, UsersInExperience
from bot.policy.loading import parse_policy
from bot.policy.model import Policy
from bot.sandbox.whop import Push, SimulatedWhop
from bot.sending.dispatcher import Dispatcher
from bot.whop import WhopGateway, gateway_for
from bot.whop.transport import Transport
from tests.harness.found import only
from tests.properties import examples

KEY = "app-key"
ORIGIN = "https://api.whop.com"
HELLO = Text(subject="Hello", content="World")
SHORT = Text(subject="Hey", content="You")

ALL = Notification(topic="drops", all=HELLO)
SPLIT = Notification(topic="drops", in_app=HELLO, mobile=SHORT)
AWKWARD = Notification(
    topic="drops",
    all=Text(subject="Größe “XL” 🎉 \\o/ 日本", content='"now"\nC:\\new </b> &\t\u2028é e\u0301'),
)

VERSION = {"v1": "2026-10-15-1", "v5": None}
GENERATIONS = pytest.mark.parametrize("generation", ["v1", "v5"])

Case = tuple[Notification, Targets, str]

V5_BODIES: dict[str, Case] = {
    "one user": (
        ALL,
        Targets(users=("user_Ab12",)),
        '{"topic_identifier":"drops","notification_data":{"all":{"subject":"Hello","content":"World"}},'
        '"targets":[{"users":["user_Ab12"]}]}',
    ),
    "feed and phone apart": (
        SPLIT,
        Targets(products=("prod_a", "prod_b")),
        '{"topic_identifier":"drops","notification_data":{"in_app":{"subject":"Hello","content":"World"},'
        '"mobile":{"subject":"Hey","content":"You"}},"targets":[{"products":["prod_a","prod_b"]}]}',
    ),
    "every kind of target": (
        ALL,
        Targets(users=("user_a",), products=("prod_b",), companies=("biz_c",), experiences=("exp_d",)),
        '{"topic_identifier":"drops","notification_data":{"all":{"subject":"Hello","content":"World"}},'
        '"targets":[{"users":["user_a"]},{"products":["prod_b"]},{"companies":["biz_c"]},'
        '{"experiences":["exp_d"]}]}',
    ),
    "deep link": (
        ALL.model_copy(update={"link": "https://whop.com/x?a=1&b=2"}),
        Targets(companies=("biz_c",)),
        '{"topic_identifier":"drops","notification_data":{"all":{"subject":"Hello","content":"World"}},'
        '"targets":[{"companies":["biz_c"]}],"deep_link":"https://whop.com/x?a=1&b=2"}',
    ),
    "only what JSON must escape is escaped": (
        AWKWARD,
        Targets(users=("user_a",)),
        '{"topic_identifier":"drops","notification_data":{"all":{"subject":"Größe “XL” 🎉 \\\\o/ 日本",'
        '"content":"\\"now\\"\\nC:\\\\new </b> &\\t\u2028é e\u0301"}},"targets":[{"users":["user_a"]}]}',
    ),
}

V1_BODIES: dict[str, tuple[Notification, Targets, list[str]]] = {
    "experience": (
        ALL,
        Targets(experiences=("exp_a",)),
        ['{"title":"Hello","content":"World","experience_id":"exp_a"}'],
    ),
    "two experiences are two requests": (
        ALL,
        Targets(experiences=("exp_a", "exp_b")),
        [
            '{"title":"Hello","content":"World","experience_id":"exp_a"}',
            '{"title":"Hello","content":"World","experience_id":"exp_b"}',
        ],
    ),
    "team": (
        ALL,
        Targets(team="biz_a"),
        ['{"title":"Hello","content":"World","account_id":"biz_a"}'],
    ),
    "named users": (
        ALL,
        Targets(users_in_experience=UsersInExperience(experience="exp_a", users=("user_b", "user_c"))),
        ['{"title":"Hello","content":"World","experience_id":"exp_a","user_ids":["user_b","user_c"]}'],
    ),
    "subtitle and path": (
        ALL.model_copy(update={"subtitle": "Soon", "link": "/posts/5"}),
        Targets(experiences=("exp_a",)),
        [
            '{"title":"Hello","content":"World","subtitle":"Soon","rest_path":"/posts/5",'
            '"experience_id":"exp_a"}'
        ],
    ),
    "only what JSON must escape is escaped": (
        AWKWARD,
        Targets(experiences=("exp_a",)),
        [
            '{"title":"Größe “XL” 🎉 \\\\o/ 日本",'
            '"content":"\\"now\\"\\nC:\\\\new </b> &\\t\u2028é e\u0301","experience_id":"exp_a"}'
        ],
    ),
}


def numbered_keys() -> Callable[[], str]:
    numbers = count(1)
    return lambda: f"key-{next(numbers)}"


def build(generation: str, notification: Notification, targets: Targets) -> tuple[Request, ...]:
    return gateway_for(generation, origin=ORIGIN).build(notification, targets, new_key=numbered_keys())


@pytest.mark.parametrize(("notification", "targets", "body"), V5_BODIES.values(), ids=V5_BODIES)
def test_v5_body_is_exactly_the_contracts(notification: Notification, targets: Targets, body: str) -> None:
    request = only(build("v5", notification, targets))
    assert request == Request(
        method="POST",
        url="https://api.whop.com/api/v5/app/notifications",
        headers={"Content-Type": "application/json", "Accept": "application/json"},
        body=body.encode(),
    )


@pytest.mark.parametrize(("notification", "targets", "bodies"), V1_BODIES.values(), ids=V1_BODIES)
def test_v1_bodies_are_exactly_the_contracts(
    notification: Notification, targets: Targets, bodies: list[str]
) -> None:
    assert build("v1", notification, targets) == tuple(
        Request(
            method="POST",
            url="https://api.whop.com/api/v1/notifications",
            headers={
                "Content-Type": "application/json",
                "Accept": "application/json",
                "Api-Version-Date": "2026-10-15-1",
                "Idempotency-Key": f"key-{number}",
            },
            body=body.encode(),
        )
        for number, body in enumerate(bodies, start=1)
    )


def test_every_v1_request_of_a_broadcast_has_its_own_key() -> None:
    everyone = Targets(
        experiences=("exp_a", "exp_b"),
        team="biz_c",
        users_in_experience=UsersInExperience(experience="exp_d", users=("user_e",)),
    )
    assert len({request.headers["Idempotency-Key"] for request in build("v1", ALL, everyone)}) == 4


def test_a_long_list_of_users_is_asked_for_in_parts_that_name_each_of_them_once() -> None:
    users = tuple(f"user_{number}" for number in range(1201))
    targets = Targets(users_in_experience=UsersInExperience(experience="exp_a", users=users))
    requests = build("v1", ALL, targets)
    parts = [json.loads(request.body)["user_ids"] for request in requests]
    assert [len(part) for part in parts] == [500, 500, 201]
    assert [user for part in parts for user in part] == list(users)
    assert len({request.headers["Idempotency-Key"] for request in requests}) == 3


def test_the_keys_that_herald_makes_are_distinct_and_fit_into_whops_255_bytes() -> None:
    new_key: Callable[[], str] = inspect.signature(Dispatcher).parameters["new_key"].default
    first, second = new_key(), new_key()
    assert first != second
    assert 16 <= len(first.encode()) <= 255
    assert first.isascii()


def emptied(**given: object) -> Targets:
    """Return targets as no policy could name them, such as of a list that was read and found empty."""
    return Targets.model_construct(**given)  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize(
    ("generation", "targets"),
    [
        *((generation, emptied()) for generation in ("v1", "v5")),
        *(("v5", emptied(users=users)) for users in (("",), ("user_a", ""), (" ",), ("\u200b",))),
        ("v1", emptied(experiences=("exp_a", ""))),
        ("v1", emptied(products=("prod_a",))),
        *(
            (
                "v1",
                emptied(
                    experiences=others,
                    users_in_experience=UsersInExperience.model_construct(experience="exp_a", users=users),
                ),
            )
            for others in ((), ("exp_b",))
            for users in ((), ("",), ("user_a", ""), (" ",))
        ),
    ],
)
def test_what_names_nobody_never_becomes_a_request_that_whop_might_take_for_everybody(
    generation: str, targets: Targets
) -> None:
    with pytest.raises(NoRecipients):
        build(generation, ALL, targets)


@GENERATIONS
def test_the_frozen_request_holds_no_credential(generation: str) -> None:
    for request in build(generation, ALL, Targets(experiences=("exp_a",))):
        assert "authorization" not in {name.lower() for name in request.headers}


def audience_of(targets: Targets) -> Audience:
    return Audience(name="Everyone", targets=targets)


@GENERATIONS
def test_there_is_one_line_for_people_for_each_request(generation: str) -> None:
    gateway = gateway_for(generation, origin=ORIGIN)
    targets = Targets(experiences=("exp_a", "exp_b"))
    assert len(gateway.describe(audience_of(targets))) == len(build(generation, ALL, targets))
    assert all(one in "\n".join(gateway.describe(audience_of(targets))) for one in targets.experiences)


def test_a_v1_team_is_described_as_no_customers() -> None:
    line = only(gateway_for("v1", origin=ORIGIN).describe(audience_of(Targets(team="biz_a"))))
    assert line == "the team of biz_a only, no customers"


# --- what a generation cannot express -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("generation", "targets", "named"),
    [
        ("v5", Targets(team="biz_a"), "team: v5 cannot reach that"),
        (
            "v5",
            Targets(users_in_experience=UsersInExperience(experience="exp_a", users=("user_b",))),
            "users_in_experience: v5 cannot reach that",
        ),
        ("v5", Targets(users=("user_a",), team="biz_a"), "team: v5 cannot reach that"),
        ("v1", Targets(users=("user_a",)), "users: v1 cannot reach that"),
        ("v1", Targets(products=("prod_a",)), "products: v1 cannot reach that"),
        ("v1", Targets(companies=("biz_a",)), "companies: v1 cannot reach that"),
        ("v1", Targets(experiences=("exp_a",), companies=("biz_a",)), "companies: v1 cannot reach that"),
    ],
)
def test_a_target_of_the_other_generation_is_refused_by_name(
    generation: str, targets: Targets, named: str
) -> None:
    sentence = gateway_for(generation, origin=ORIGIN).refuse_audience(audience_of(targets))
    assert sentence is not None
    assert sentence.startswith(f"targets.{named}")


@pytest.mark.parametrize(
    ("generation", "notification", "named"),
    [
        ("v5", ALL.model_copy(update={"subtitle": "Soon"}), "Subtitle"),
        ("v1", SPLIT, "Different words for feed and phone"),
        ("v1", ALL.model_copy(update={"mobile": SHORT}), "Different words for feed and phone"),
        ("v1", ALL.model_copy(update={"link": "posts/5"}), "Path in the app"),
        ("v1", ALL.model_copy(update={"link": "https://whop.com/x"}), "Path in the app"),
    ],
)
def test_a_field_of_the_other_generation_is_refused_by_name(
    generation: str, notification: Notification, named: str
) -> None:
    sentence = only(gateway_for(generation, origin=ORIGIN).refuse_notification(notification))
    assert sentence.startswith(named)


@pytest.mark.parametrize(
    ("generation", "notification", "targets"),
    [("v5", *case[:2]) for case in V5_BODIES.values()] + [("v1", *case[:2]) for case in V1_BODIES.values()],
)
def test_what_a_generation_can_express_is_not_refused(
    generation: str, notification: Notification, targets: Targets
) -> None:
    gateway = gateway_for(generation, origin=ORIGIN)
    assert gateway.refuse_audience(audience_of(targets)) is None
    assert gateway.refuse_notification(notification) == []


def test_v1_never_freezes_half_of_a_split_notification() -> None:
    with pytest.raises(ValueError, match="one text"):
        build("v1", SPLIT, Targets(experiences=("exp_a",)))


# --- through the real transport to the simulated Whop ---------------------------------------------------


class Clock:
    """Go on by a minute at each look, so that no rate limit is ever met."""

    def __init__(self) -> None:
        self.now = datetime(2026, 11, 23, tzinfo=UTC)

    def __call__(self) -> datetime:
        self.now += timedelta(minutes=1)
        return self.now


@pytest_asyncio.fixture
async def whop() -> AsyncIterator[SimulatedWhop]:
    simulated = SimulatedWhop(api_keys=(KEY,), clock=Clock())
    await simulated.start()
    yield simulated
    await simulated.close()


@pytest_asyncio.fixture
async def transport() -> AsyncIterator[Transport]:
    async with Transport(api_key=SecretStr(KEY)) as opened:
        yield opened


async def push(
    whop: SimulatedWhop, transport: Transport, generation: str, notification: Notification, targets: Targets
) -> list[Push]:
    """Send it, see every request accepted, and return what customers got."""
    gateway = gateway_for(generation, origin=whop.origin)
    whop.pushes.clear()
    for request in gateway.build(notification, targets, new_key=lambda: str(uuid4())):
        answer = await transport.send(request)
        assert gateway.read(answer, attempt=1, now=datetime.now(UTC)) == Accepted()
    return whop.pushes


@pytest.mark.parametrize(("notification", "targets", "_body"), V5_BODIES.values(), ids=V5_BODIES)
async def test_the_simulated_whop_accepts_every_v5_body(
    whop: SimulatedWhop, transport: Transport, notification: Notification, targets: Targets, _body: str
) -> None:
    seen = only(await push(whop, transport, "v5", notification, targets))
    feed, phone = notification.all or notification.in_app, notification.all or notification.mobile
    assert (seen.topic, seen.link) == (notification.topic, notification.link)
    assert feed is not None
    assert phone is not None
    assert (seen.feed, seen.phone) == ((feed.subject, feed.content), (phone.subject, phone.content))


@pytest.mark.parametrize(("notification", "targets", "bodies"), V1_BODIES.values(), ids=V1_BODIES)
async def test_the_simulated_whop_accepts_every_v1_body(
    whop: SimulatedWhop, transport: Transport, notification: Notification, targets: Targets, bodies: list[str]
) -> None:
    pushes = await push(whop, transport, "v1", notification, targets)
    assert [exchange.body for exchange in whop.exchanges] == bodies
    assert notification.all is not None
    for seen in pushes:
        assert seen.feed == (notification.all.subject, notification.all.content)
        assert (seen.subtitle, seen.link) == (notification.subtitle, notification.link)


AUDIENCES = [
    ("v5", Targets(users=("user_a",)), ["user user_a"]),
    ("v5", Targets(users=("user_a",), products=("prod_b",)), ["user user_a, product prod_b"]),
    ("v5", Targets(companies=("biz_a",), experiences=("exp_b",)), ["company biz_a, experience exp_b"]),
    ("v1", Targets(experiences=("exp_a", "exp_b")), ["experience exp_a", "experience exp_b"]),
    ("v1", Targets(team="biz_a"), ["team of account biz_a (no customers)"]),
    (
        "v1",
        Targets(users_in_experience=UsersInExperience(experience="exp_a", users=("user_b",))),
        ["experience exp_a (1 named user, as a mention)"],
    ),
]


@pytest.mark.parametrize(("generation", "targets", "reached"), AUDIENCES)
async def test_whop_reaches_whom_the_policy_names(
    whop: SimulatedWhop, transport: Transport, generation: str, targets: Targets, reached: list[str]
) -> None:
    pushes = await push(whop, transport, generation, ALL, targets)
    assert [seen.audience for seen in pushes] == reached


TYPED = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1).filter(
    lambda text: bool(text.strip())
)


@GENERATIONS
@given(subject=TYPED, content=TYPED)
@examples(40, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_customers_read_exactly_what_was_typed(
    whop: SimulatedWhop, transport: Transport, generation: str, subject: str, content: str
) -> None:
    typed = Notification(topic="drops", all=Text(subject=subject, content=content))
    seen = only(await push(whop, transport, generation, typed, Targets(experiences=("exp_a",))))
    assert seen.feed == seen.phone == (subject, content)


# --- the questions of `herald check` --------------------------------------------------------------------

POLICY = """
[[server]]
name = "Shop"
guild = 104900000000000001
channels = {review = 104900000000000002, audit = 104900000000000003}
[server.roles]
compose = [104900000000000004]
approve = [104900000000000005]
operate = [104900000000000006]
audit = [104900000000000007]
[[server.topic]]
id = "drops"
name = "Drops"
[[server.audience]]
name = "Lounge"
targets = {experiences = ["exp_a", "exp_b"]}
"""


@pytest.fixture
def policy() -> Policy:
    return parse_policy(POLICY, name="herald.toml")


async def ask(gateway: WhopGateway, transport: Transport, policy: Policy) -> list[str]:
    """Ask every question; return the sentences of those that do not go well."""
    sentences: list[str] = []
    for probe in gateway.probes(policy):
        assert (probe.request.method, probe.request.body) == ("GET", b"")
        assert probe.request.headers.get("Api-Version-Date") == VERSION[gateway.generation]
        answer = await transport.send(probe.request)
        assert isinstance(answer, Response)
        if sentence := probe.judge(answer):
            sentences.append(sentence)
    return sentences


@GENERATIONS
async def test_the_check_asks_harmless_questions_and_finds_nothing(
    whop: SimulatedWhop, transport: Transport, policy: Policy, generation: str
) -> None:
    whop.topics = [("drops", "Drops")]
    assert await ask(gateway_for(generation, origin=whop.origin), transport, policy) == []
    assert not whop.pushes
    assert not whop.exchanges


async def test_the_check_names_a_topic_that_whop_does_not_know(
    whop: SimulatedWhop, transport: Transport, policy: Policy
) -> None:
    whop.topics = [("news", "News")]
    sentence = only(await ask(gateway_for("v5", origin=whop.origin), transport, policy))
    assert "topic drops is not registered" in sentence


async def test_the_check_calls_no_topic_missing_that_may_stand_on_a_later_page(
    whop: SimulatedWhop, transport: Transport, policy: Policy
) -> None:
    whop.topics = [(f"news-{number}", "News") for number in range(50)] + [("drops", "Drops")]
    assert await ask(gateway_for("v5", origin=whop.origin), transport, policy) == []


async def test_the_check_names_each_place_where_the_key_may_not_send(
    whop: SimulatedWhop, transport: Transport, policy: Policy
) -> None:
    whop.permissions.clear()
    sentences = await ask(gateway_for("v1", origin=whop.origin), transport, policy)
    assert [place in sentence for place, sentence in zip(("exp_a", "exp_b"), sentences, strict=True)] == [
        True,
        True,
    ]


@GENERATIONS
@pytest.mark.parametrize("status", [200, 401])
@pytest.mark.parametrize(
    "data", [None, 7, "x", [], {}, [None], [7, "x"], [{"topic_identifier": {}, "action": []}]]
)
def test_the_check_survives_every_odd_page(
    policy: Policy, generation: str, status: int, data: object
) -> None:
    for pagination in ("null", "[]", '{"total_pages":"many"}', '{"total_pages":null}'):
        body = f'{{"data":{json.dumps(data)},"pagination":{pagination},"message":"no","error":[]}}'
        for probe in gateway_for(generation, origin=ORIGIN).probes(policy):
            assert probe.judge(Response(status=status, headers={}, body=body))
