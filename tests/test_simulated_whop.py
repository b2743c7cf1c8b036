"""The simulated Whop keeps to both contracts, so that what Herald learns from it is true."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import aiohttp
import pytest
import pytest_asyncio

from bot.sandbox.whop import Exchange, Fault, Owners, People, ReadFault, SimulatedWhop
from tests.harness.found import only

KEY = "app-key-that-must-not-show"
OLD, NEW = "2025-01-01", "2026-10-15-1"
HELLO = {"subject": "Hello", "content": "World"}


class Clock:
    def __init__(self) -> None:
        self.now = datetime(2026, 11, 23, 9, 41, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def advance(self, **span: float) -> None:
        self.now += timedelta(**span)


@dataclass(frozen=True)
class Reply:
    status: int
    data: Any
    headers: dict[str, str]

    @property
    def message(self) -> str:
        return self.data["message"] if "message" in self.data else self.data["error"]["message"]

    @property
    def kind(self) -> str:
        return self.data["error"]["type"]

    @property
    def replayed(self) -> bool:
        return self.headers.get("Idempotent-Replayed") == "true"


@dataclass(frozen=True)
class Client:
    session: aiohttp.ClientSession
    origin: str
    key: str | None = KEY

    async def call(self, method: str, path: str, *, data: bytes | None = None, **headers: str) -> Reply:
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if self.key is not None:
            sent["Authorization"] = f"Bearer {self.key}"
        if data is not None:
            sent.setdefault("Content-Type", "application/json")
        async with self.session.request(method, self.origin + path, data=data, headers=sent) as response:
            return Reply(response.status, await response.json(), dict(response.headers))

    async def v5(self, body: object = None, **changes: object) -> Reply:
        return await self.call("POST", "/api/v5/app/notifications", data=dump(body or v5_body(**changes)))

    async def v1(
        self, body: object = None, *, key: str = "", version: str | None = NEW, **changes: object
    ) -> Reply:
        headers = {"Idempotency_Key": key} if key else {}
        if version is not None:
            headers["Api_Version_Date"] = version
        return await self.call(
            "POST", "/api/v1/notifications", data=dump(body or v1_body(**changes)), **headers
        )

    async def read(self, path: str, *, version: str = NEW) -> Reply:
        return await self.call("GET", path, Api_Version_Date=version)


ABSENT = object()


def dump(body: object) -> bytes:
    return body if isinstance(body, bytes) else json.dumps(body).encode()


def without_absent(body: dict[str, object]) -> dict[str, object]:
    return {name: value for name, value in body.items() if value is not ABSENT}


def v5_body(**changes: object) -> dict[str, object]:
    body: dict[str, object] = {
        "topic_identifier": "news",
        "notification_data": {"all": HELLO},
        "targets": [{"products": ["prod_gold"]}],
    }
    return without_absent(body | changes)


def v1_body(**changes: object) -> dict[str, object]:
    body: dict[str, object] = {"title": "Hello", "content": "World", "experience_id": "exp_lounge"}
    return without_absent(body | changes)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest_asyncio.fixture
async def whop(clock: Clock) -> AsyncIterator[SimulatedWhop]:
    simulated = SimulatedWhop(api_keys=(KEY, "second-key"), clock=clock, slow_seconds=60)
    await simulated.start()
    yield simulated
    await simulated.close()


@pytest_asyncio.fixture
async def client(whop: SimulatedWhop) -> AsyncIterator[Client]:
    async with aiohttp.ClientSession() as session:
        yield Client(session, whop.origin)


async def test_v5_all_reaches_feed_and_phone(client: Client, whop: SimulatedWhop) -> None:
    reply = await client.v5(deep_link="/drops")
    assert (reply.status, reply.data["status"]) == (201, "created")
    push = only(whop.pushes)
    assert push.feed == push.phone == ("Hello", "World")
    assert (push.generation, push.audience, push.topic, push.link) == (
        "v5",
        "product prod_gold",
        "news",
        "/drops",
    )


async def test_v5_channels_reach_feed_and_phone_apart(client: Client, whop: SimulatedWhop) -> None:
    other = {"subject": "Short", "content": "Text"}
    assert (await client.v5(notification_data={"in_app": HELLO, "mobile": other})).status == 201
    push = only(whop.pushes)
    assert (push.feed, push.phone) == (("Hello", "World"), ("Short", "Text"))


async def test_v5_audience_names_every_kind_of_target(client: Client, whop: SimulatedWhop) -> None:
    targets = [
        {"companies": ["biz_a"], "users": ["user_b"]},
        {"experiences": ["exp_c"], "products": ["prod_d"]},
    ]
    assert (await client.v5(targets=targets)).status == 201
    assert only(whop.pushes).audience == "company biz_a, user user_b, product prod_d, experience exp_c"


async def test_v1_is_queued_with_202(client: Client, whop: SimulatedWhop) -> None:
    reply = await client.v1(subtitle="Soon", rest_path="/calls/7", icon_user_id=None)
    assert (reply.status, reply.data) == (202, {"success": True})
    push = only(whop.pushes)
    assert push.feed == push.phone == ("Hello", "World")
    assert (push.audience, push.subtitle, push.link, push.topic) == (
        "experience exp_lounge",
        "Soon",
        "/calls/7",
        None,
    )


async def test_v1_named_users_get_a_mention(client: Client, whop: SimulatedWhop) -> None:
    await client.v1(user_ids=["user_a", "user_b"])
    assert only(whop.pushes).audience == "experience exp_lounge (2 named users, as a mention)"


async def test_v1_account_reaches_the_team_and_says_that_no_customer_gets_it(
    client: Client, whop: SimulatedWhop
) -> None:
    reply = await client.v1(experience_id=ABSENT, account_id="biz_a")
    assert reply.data == {"success": True}
    assert only(whop.pushes).audience == "team of account biz_a (no customers)"


async def test_fields_that_are_not_known_are_ignored(client: Client, whop: SimulatedWhop) -> None:
    assert (await client.v5(priority="high")).status == 201
    assert (await client.v1(company_id="biz_a")).status == 202


WRONG_IN_V5: list[tuple[dict[str, object], str]] = [
    ({"topic_identifier": ABSENT}, "Missing required parameter: topic_identifier"),
    ({"topic_identifier": 7}, "topic_identifier: Input should be a valid string"),
    ({"topic_identifier": " "}, "topic_identifier: must not be blank"),
    ({"deep_link": None}, "deep_link: must not be null"),
    ({"notification_data": None}, "notification_data: must not be null"),
    ({"notification_data": {}}, "notification_data: give either all, or both in_app and mobile"),
    (
        {"notification_data": {"in_app": HELLO}},
        "notification_data: give either all, or both in_app and mobile",
    ),
    (
        {"notification_data": {"all": HELLO, "in_app": HELLO, "mobile": HELLO}},
        "notification_data: give either all, or both in_app and mobile",
    ),
    (
        {"notification_data": {"all": {"subject": "Hello"}}},
        "required parameter: notification_data.all.content",
    ),
    ({"targets": ABSENT}, "Missing required parameter: targets"),
    ({"targets": []}, "targets: must not be empty"),
    ({"targets": [{}]}, "targets[0]: must name users, products, companies or experiences"),
    ({"targets": [{"users": []}]}, "targets[0]: must name users, products, companies or experiences"),
    ({"targets": [{"groups": ["g"]}]}, "Unknown parameter: targets[0].groups"),
    ({"targets": [{"users": "user_a"}]}, "targets[0].users: Input should be a valid array"),
    ({"targets": [{"users": None}]}, "targets[0].users: must not be null"),
    (
        {"targets": [{"users": ["user_a", "prod_b"]}]},
        "targets[0].users[1]: must be an id such as user_abc",
    ),
    ({"targets": [{"users": ["user_a\n"]}]}, "targets[0].users[0]: must be an id such as user_abc"),
    ({"targets": [{"companies": ["biz_"]}]}, "targets[0].companies[0]: must be an id such as biz_abc"),
]


@pytest.mark.parametrize(("changes", "sentence"), WRONG_IN_V5)
async def test_v5_says_which_field_is_wrong(
    client: Client, whop: SimulatedWhop, changes: dict[str, object], sentence: str
) -> None:
    reply = await client.v5(v5_body(**changes))
    assert reply.status == 400
    assert sentence in reply.data["message"]
    assert not whop.pushes


WRONG_IN_V1: list[tuple[dict[str, object], str]] = [
    ({"title": ABSENT}, "Missing required parameter: title"),
    ({"title": None}, "title: must not be null"),
    ({"content": ["x"]}, "content: Input should be a valid string"),
    ({"content": ""}, "content: must not be blank"),
    ({"experience_id": ABSENT}, "Missing required parameter: experience_id or account_id"),
    ({"experience_id": None}, "experience_id: must not be null"),
    ({"experience_id": "lounge"}, "experience_id: must be an id such as exp_abc"),
    ({"account_id": "biz_a"}, "give exactly one of experience_id or account_id"),
    ({"experience_id": ABSENT, "account_id": "acc_a"}, "account_id: must be an id such as biz_abc"),
    ({"user_ids": []}, "user_ids: must not be empty"),
    ({"user_ids": ["exp_a"]}, "user_ids[0]: must be an id such as user_abc"),
    ({"subtitle": 1}, "subtitle: Input should be a valid string"),
    ({"icon_user_id": "x"}, "icon_user_id: must be an id such as user_abc"),
]


@pytest.mark.parametrize(("changes", "sentence"), WRONG_IN_V1)
async def test_v1_says_which_field_is_wrong(
    client: Client, whop: SimulatedWhop, changes: dict[str, object], sentence: str
) -> None:
    reply = await client.v1(v1_body(**changes))
    assert (reply.status, reply.kind) == (400, "invalid_request")
    assert sentence in reply.message
    assert not whop.pushes


async def test_several_wrong_fields_are_all_named(client: Client) -> None:
    reply = await client.v1(title=1, content=ABSENT)
    assert "title: " in reply.message
    assert "Missing required parameter: content" in reply.message


@pytest.mark.parametrize("body", [b"{", b"[]", b'"x"', b"\xff\xfe", b"null", b" "])
async def test_a_body_that_is_no_json_object_is_refused(
    client: Client, whop: SimulatedWhop, body: bytes
) -> None:
    assert (await client.v5(body)).status == 400
    assert (await client.v1(body)).status == 400
    assert not whop.pushes


@pytest.mark.parametrize("path", ["/api/v5/app/notifications", "/api/v1/notifications"])
async def test_another_content_type_is_refused(client: Client, path: str) -> None:
    reply = await client.call("POST", path, data=dump(v1_body()), Content_Type="text/plain")
    assert reply.status == 400
    assert "Content-Type must be application/json" in reply.message


@pytest.mark.parametrize("key", [None, "wrong", ""])
async def test_a_wrong_key_is_refused_in_the_envelope_of_each_generation(
    client: Client, whop: SimulatedWhop, key: str | None
) -> None:
    stranger = replace(client, key=key)
    v5, v1 = await stranger.v5(), await stranger.v1()
    assert (v5.status, v1.status) == (401, 401)
    assert set(v5.data) == {"message"}
    assert v1.kind == "unauthorized"
    assert (await stranger.read("/api/v1/permissions?resource_id=exp_a")).status == 401
    assert not whop.pushes


async def test_only_known_ids_are_reached_once_some_are_known(client: Client, whop: SimulatedWhop) -> None:
    whop.experiences, whop.products, whop.topics = {"exp_a": "A"}, {"prod_a": "A"}, [("drops", "Drops")]
    assert (await client.v1()).status == 404
    assert (await client.v5(topic_identifier="drops")).status == 400
    assert (await client.v5(targets=[{"products": ["prod_a"], "experiences": ["exp_a"]}])).status == 400
    assert not whop.pushes
    assert (await client.v1(experience_id="exp_a")).status == 202
    assert (await client.v5(topic_identifier="drops", targets=[{"products": ["prod_a"]}])).status == 201


async def test_v1_without_the_permission_is_forbidden(client: Client, whop: SimulatedWhop) -> None:
    whop.permissions.clear()
    reply = await client.v1()
    assert (reply.status, reply.kind) == (403, "forbidden")
    assert not whop.pushes


async def test_an_unknown_route_is_404_and_still_recorded(client: Client, whop: SimulatedWhop) -> None:
    assert (await client.call("POST", "/api/v5/notifications", data=b"{}")).status == 404
    assert (await client.call("POST", "/api/v1/app/notifications", data=b"{}")).kind == "not_found"
    assert [exchange.status for exchange in whop.exchanges] == [404, 404]


async def test_v1_without_a_version_date_wants_company_id(client: Client, whop: SimulatedWhop) -> None:
    for version in (None, OLD):
        reply = await client.v1(version=version, experience_id=ABSENT, account_id="biz_a")
        assert reply.message == "Missing required parameter: experience_id or company_id"
    assert (await client.v1(version=None, experience_id=ABSENT, company_id="biz_a")).status == 202
    assert only(whop.pushes).audience == "team of account biz_a (no customers)"


async def test_v1_with_an_unknown_version_date_is_refused(client: Client, whop: SimulatedWhop) -> None:
    reply = await client.v1(version="2026-01-01")
    assert reply.status == 400
    assert "2026-01-01 is not a known version" in reply.message
    assert not whop.pushes


async def test_v5_shuts_for_60_seconds_after_20_calls_in_10(
    client: Client, whop: SimulatedWhop, clock: Clock
) -> None:
    assert [(await client.v5()).status for _ in range(21)] == [201] * 20 + [429]
    clock.advance(seconds=59)
    reply = await client.v5()
    assert (reply.status, reply.data) == (429, {"message": "You are being rate limited"})
    clock.advance(seconds=1)
    assert (await client.v5()).status == 201
    assert len(whop.pushes) == 21


async def test_v5_lets_20_calls_through_in_every_10_seconds(client: Client, clock: Clock) -> None:
    for _ in range(3):
        assert [(await client.v5()).status for _ in range(20)] == [201] * 20
        clock.advance(seconds=10)


async def test_v5_counts_each_credential_apart(client: Client) -> None:
    for _ in range(21):
        await client.v5()
    assert (await client.v5()).status == 429
    assert (await replace(client, key="second-key").v5()).status == 201


async def test_v1_lets_600_calls_through_in_a_minute_and_says_how_long_to_wait(
    client: Client, clock: Clock
) -> None:
    await client.v1()
    clock.advance(seconds=48)
    for _ in range(599):
        assert (await client.v1()).status == 202
    reply = await client.v1()
    assert (reply.status, reply.kind, reply.message) == (
        429,
        "rate_limit_exceeded",
        "Try again in 12 seconds.",
    )
    assert (await client.read("/api/v1/permissions?resource_id=exp_a")).status == 200
    clock.advance(seconds=12)
    assert (await client.v1()).status == 202


async def test_v1_same_key_and_bytes_replays_the_first_answer_and_pushes_once(
    client: Client, whop: SimulatedWhop
) -> None:
    first, second = await client.v1(key="k"), await client.v1(key="k")
    assert (second.status, second.data) == (first.status, first.data)
    assert (first.replayed, second.replayed) == (False, True)
    assert [exchange.replayed for exchange in whop.exchanges] == [False, True]
    assert len(whop.pushes) == 1


async def test_v1_replays_a_4xx_too(client: Client, whop: SimulatedWhop) -> None:
    whop.fail_next(Fault.REJECT)
    assert (await client.v1(key="k")).status == 400
    again = await client.v1(key="k")
    assert (again.status, again.replayed) == (400, True)
    assert not whop.pushes


async def test_v1_same_key_with_other_bytes_is_a_mismatch_and_pushes_nothing(
    client: Client, whop: SimulatedWhop
) -> None:
    await client.v1(b'{"title":"a","content":"b","experience_id":"exp_a"}', key="k")
    reply = await client.v1(b'{"title":"a", "content":"b","experience_id":"exp_a"}', key="k")
    assert (reply.status, reply.kind) == (400, "idempotency_key_mismatch")
    assert len(whop.pushes) == 1


async def test_v1_same_key_with_other_version_path_or_query_is_a_mismatch(
    client: Client, whop: SimulatedWhop
) -> None:
    await client.v1(key="k")
    assert (await client.v1(key="k", version=OLD)).kind == "idempotency_key_mismatch"
    for path in ("/api/v1/notifications?a=1", "/api/v1/other"):
        reply = await client.call(
            "POST", path, data=dump(v1_body()), Idempotency_Key="k", Api_Version_Date=NEW
        )
        assert reply.kind == "idempotency_key_mismatch"
    assert len(whop.pushes) == 1


async def test_v1_key_is_in_progress_while_its_first_call_runs(client: Client, whop: SimulatedWhop) -> None:
    whop.fail_next(Fault.SLOW)
    first = asyncio.create_task(client.v1(key="k"))
    await whop.slow_held()
    second = await client.v1(key="k")
    assert (second.status, second.kind) == (409, "idempotency_request_in_progress")
    whop.release_slow()
    assert (await first).status == 202
    assert (await client.v1(key="k")).replayed
    assert len(whop.pushes) == 1


async def test_v1_key_runs_fresh_after_24_hours(client: Client, whop: SimulatedWhop, clock: Clock) -> None:
    await client.v1(key="k")
    clock.advance(hours=24, seconds=-1)
    assert (await client.v1(key="k")).replayed
    clock.advance(seconds=1)
    assert not (await client.v1(key="k")).replayed
    assert len(whop.pushes) == 2


async def test_v1_key_belongs_to_its_credential(client: Client, whop: SimulatedWhop) -> None:
    await client.v1(key="k")
    assert not (await replace(client, key="second-key").v1(key="k")).replayed
    assert len(whop.pushes) == 2


async def test_v1_key_of_over_255_bytes_is_refused(client: Client, whop: SimulatedWhop) -> None:
    assert (await client.v1(key="k" * 255)).status == 202
    assert (await client.v1(key="k" * 256)).status == 400
    assert len(whop.pushes) == 1


async def test_v1_key_is_ignored_by_a_server_that_does_not_know_it(
    client: Client, whop: SimulatedWhop
) -> None:
    whop.honours_keys = False
    assert not (await client.v1(key="k")).replayed
    assert not (await client.v1(key="k")).replayed
    assert len(whop.pushes) == 2


async def test_v5_knows_no_keys_and_pushes_twice(client: Client, whop: SimulatedWhop) -> None:
    for _ in range(2):
        path = "/api/v5/app/notifications"
        reply = await client.call("POST", path, data=dump(v5_body()), Idempotency_Key="k")
        assert (reply.status, reply.replayed) == (201, False)
    assert len(whop.pushes) == 2


@pytest.mark.parametrize(
    ("fault", "status"),
    [
        (Fault.RATE_LIMITED, 429),
        (Fault.SERVER_ERROR, 500),
        (Fault.UNAUTHORIZED, 401),
        (Fault.REJECT, 400),
        (Fault.NOT_INSTALLED, 403),
    ],
)
async def test_a_refusing_fault_stays_until_changed_and_pushes_nothing(
    client: Client, whop: SimulatedWhop, fault: Fault, status: int
) -> None:
    whop.fault = fault
    replies = [await client.v5(), await client.v1(), await client.v1()]
    assert [reply.status for reply in replies] == [status] * 3
    assert set(replies[0].data) == {"message"}
    assert set(replies[1].data) == {"error"}
    assert not whop.pushes
    assert [exchange.status for exchange in whop.exchanges] == [status] * 3
    whop.fault = Fault.NONE
    assert (await client.v1()).status == 202


async def test_a_firewall_answers_with_a_page_and_pushes_nothing(client: Client, whop: SimulatedWhop) -> None:
    whop.fail_next(Fault.FIREWALL)
    async with client.session.post(f"{client.origin}/api/v1/notifications", data=dump(v1_body())) as answer:
        assert (answer.status, answer.content_type) == (403, "text/html")
    assert whop.pushes == []


@pytest.mark.parametrize("fault", [Fault.RATE_LIMITED, Fault.SERVER_ERROR, Fault.UNAUTHORIZED])
async def test_v1_key_is_not_spent_on_an_answer_from_before_the_operation(
    client: Client, whop: SimulatedWhop, fault: Fault
) -> None:
    whop.fail_next(fault)
    assert (await client.v1(key="k")).status >= 400
    reply = await client.v1(key="k")
    assert (reply.status, reply.replayed) == (202, False)


async def test_fail_next_fails_that_many_times_and_leaves_reads_alone(
    client: Client, whop: SimulatedWhop
) -> None:
    whop.fail_next(Fault.SERVER_ERROR, times=2)
    assert (await client.read("/api/v1/permissions?resource_id=exp_a")).status == 200
    assert [(await client.v1()).status for _ in range(3)] == [500, 500, 202]


async def test_drop_after_accept_pushes_and_gives_no_answer(client: Client, whop: SimulatedWhop) -> None:
    whop.fail_next(Fault.DROP_AFTER_ACCEPT)
    with pytest.raises(aiohttp.ServerDisconnectedError):
        await client.v5()
    assert len(whop.pushes) == 1
    exchange = only(whop.exchanges)
    assert (exchange.status, exchange.response) == (None, "")


async def test_v1_key_saves_a_dropped_answer_from_a_second_push(client: Client, whop: SimulatedWhop) -> None:
    whop.fail_next(Fault.DROP_AFTER_ACCEPT, times=2)
    for _ in range(2):
        with pytest.raises(aiohttp.ServerDisconnectedError):
            await client.v1(key="k")
    assert (await client.v1(key="k")).replayed
    assert len(whop.pushes) == 1


async def test_drop_before_accept_pushes_nothing_and_spends_no_key(
    client: Client, whop: SimulatedWhop
) -> None:
    whop.fail_next(Fault.DROP_BEFORE_ACCEPT)
    with pytest.raises(aiohttp.ServerDisconnectedError):
        await client.v1(key="k")
    assert not whop.pushes
    assert not (await client.v1(key="k")).replayed
    assert len(whop.pushes) == 1


async def test_a_client_that_gives_up_on_a_slow_answer_has_notified_all_the_same(
    client: Client, whop: SimulatedWhop
) -> None:
    whop.fail_next(Fault.SLOW)
    impatient = asyncio.create_task(client.v1())
    await whop.slow_held()
    impatient.cancel()
    with pytest.raises(asyncio.CancelledError):
        await impatient
    assert len(whop.pushes) == 1


async def test_the_exchange_is_as_on_the_wire_and_never_holds_the_key(
    whop: SimulatedWhop, client: Client
) -> None:
    body = b'{"title":"\xc3\xa9",  "content":"b","experience_id":"exp_a"}'
    await client.call("POST", "/api/v1/notifications?x=a%20b", data=body, Api_Version_Date=NEW)
    exchange = only(whop.exchanges)
    assert exchange.url == f"{whop.origin}/api/v1/notifications?x=a%20b"
    assert exchange.body == body.decode()
    assert exchange.headers["Authorization"] == "Bearer ***"
    assert (exchange.method, exchange.status, exchange.response) == ("POST", 202, '{"success": true}')
    assert KEY not in repr(whop.exchanges)


async def test_every_send_is_announced_and_reads_are_kept_apart(clock: Clock) -> None:
    announced: list[Exchange] = []
    whop = SimulatedWhop(clock=clock, on_exchange=announced.append)
    await whop.start()
    async with aiohttp.ClientSession() as session:
        client = Client(session, whop.origin, "sandbox-key")
        await client.v1()
        await client.v1(title=ABSENT)
        await client.read("/api/v1/permissions?resource_id=exp_a")
    await whop.close()
    assert announced == whop.exchanges
    assert [exchange.status for exchange in announced] == [202, 400]
    assert len(whop.reads) == 1


async def test_v5_topics_come_in_pages(client: Client, whop: SimulatedWhop) -> None:
    whop.topics = [(f"topic_{n}", f"Topic {n}") for n in range(5)]
    reply = await client.read("/api/v5/app/notification_topics?page=2&per=2")
    assert [row["topic_identifier"] for row in reply.data["data"]] == ["topic_2", "topic_3"]
    assert set(reply.data["data"][0]) == {
        "topic_identifier",
        "name",
        "topic_type",
        "status",
        "notification_channel_identifiers",
    }
    assert reply.data["pagination"] == {
        "current_page": 2,
        "total_pages": 3,
        "next_page": 3,
        "prev_page": 1,
        "total_count": 5,
    }
    assert (await client.read("/api/v5/app/notification_topics?per=51")).status == 400


async def test_v1_permissions_grant_only_what_the_key_has_and_sees(
    client: Client, whop: SimulatedWhop
) -> None:
    whop.experiences = {"exp_a": "A"}
    path = "/api/v1/permissions?actions=notification:create,member:email:read&resource_id="
    reply = await client.read(path + "exp_a")
    assert reply.data["data"] == [
        {"action": "notification:create", "granted": True},
        {"action": "member:email:read", "granted": False},
    ]
    unseen = await client.read(path + "exp_b")
    assert [row["granted"] for row in unseen.data["data"]] == [False, False]
    assert (await client.read("/api/v1/permissions")).message == "Missing required parameter: resource_id"


async def test_v1_experience_is_read_by_id(client: Client, whop: SimulatedWhop) -> None:
    whop.experiences = {"exp_a": "Lounge"}
    reply = await client.read("/api/v1/experiences/exp_a")
    assert (reply.data["id"], reply.data["name"]) == ("exp_a", "Lounge")
    unknown = await client.read("/api/v1/experiences/exp_b")
    assert (unknown.status, unknown.kind) == (404, "not_found")


async def test_v1_lists_come_in_cursor_pages(client: Client, whop: SimulatedWhop) -> None:
    whop.products = {f"prod_{n}": f"Product {n}" for n in range(3)}
    first = await client.read("/api/v1/products?account_id=biz_a&first=2")
    assert first.data["data"][0] == {"id": "prod_0", "title": "Product 0", "member_count": 0}
    assert first.data["page_info"]["has_next_page"] is True
    cursor = first.data["page_info"]["end_cursor"]
    last = await client.read(f"/api/v1/products?account_id=biz_a&first=2&after={cursor}")
    assert [row["id"] for row in last.data["data"]] == ["prod_2"]
    assert last.data["page_info"]["has_next_page"] is False
    assert (await client.read("/api/v1/products")).message == "Missing required parameter: account_id"
    assert (await client.read("/api/v1/products?account_id=biz_a&first=0501")).status == 400


CROWD = People(
    products={
        "prod_gold": Owners(crowd=range(100_000), named=["user_maya"]),
        "prod_silver": Owners(crowd=range(99_990, 100_010), nameless_every=4),
    },
    experiences={"exp_gold": ["prod_gold"], "exp_all": ["prod_gold", "prod_silver"]},
    team=["user_maya", "user_omar"],
    usernames={"user_maya": "maya", "user_omar": "omar"},
    names={"exp_gold": "Gold Lounge"},
)
MEMBERS_OF_GOLD = "/api/v1/members?product_ids=prod_gold&membership_status=active"


async def test_v1_members_come_in_pages_and_each_person_once(client: Client, whop: SimulatedWhop) -> None:
    whop.people = CROWD
    first = await client.read(f"{MEMBERS_OF_GOLD}&first=2")
    users = [row["user"] for row in first.data["data"]]
    assert [one["id"] for one in users] == ["user_000000", "user_000001"]
    assert [one["username"] for one in users] == ["ava000000", "ben000001"]
    cursor = first.data["page_info"]["end_cursor"]
    second = await client.read(f"{MEMBERS_OF_GOLD}&first=2&after={cursor}")
    assert second.data["data"][0]["user"]["id"] == "user_000002"
    both = "/api/v1/members?product_ids=prod_gold,prod_silver&first=100&after=mber_0_99999"
    end = (await client.read(both)).data
    assert end["page_info"]["has_next_page"] is False
    # Two of gold, and the ten of silver who have no gold: three of these rows name nobody.
    named = [row["user"]["id"] for row in end["data"] if row["user"]]
    assert (len(end["data"]), len(named)) == (12, 9)
    assert len({*named}) == 9
    assert (await client.read(f"{MEMBERS_OF_GOLD}&after=nonsense")).status == 400
    assert (await client.read("/api/v1/members?product_ids=prod_none")).status == 404


async def test_v1_tells_products_experiences_and_the_team(client: Client, whop: SimulatedWhop) -> None:
    whop.people = CROWD
    experience = (await client.read("/api/v1/experiences/exp_all")).data
    assert [one["id"] for one in experience["products"]] == ["prod_gold", "prod_silver"]
    assert (await client.read("/api/v1/experiences/exp_gold")).data["name"] == "Gold Lounge"
    listed = await client.read("/api/v1/experiences?account_id=biz_a&product_id=prod_silver")
    assert [one["id"] for one in listed.data["data"]] == ["exp_all"]
    product = (await client.read("/api/v1/products/prod_gold")).data
    assert (product["member_count"], product["company"]["id"]) == (100_001, "biz_sandbox")
    team = (await client.read("/api/v1/team_members?account_id=biz_a")).data["data"]
    assert [one["user"]["username"] for one in team] == ["maya", "omar"]
    whop.people = replace(CROWD, hides_counts=True)
    assert (await client.read("/api/v1/products/prod_gold")).data["member_count"] == 0


async def test_v5_memberships_tell_their_total(client: Client, whop: SimulatedWhop) -> None:
    whop.people = CROWD
    path = "/api/v5/app/memberships?valid=true&per=1&"
    totals = {"product_id=prod_silver": 20, "experience_id=exp_all": 100_021, "company_id=biz_a": 100_021}
    for narrowed, total in totals.items():
        reply = await client.read(path + narrowed)
        assert (len(reply.data["data"]), reply.data["pagination"]["total_count"]) == (1, total)
    whop.people = replace(CROWD, hides_counts=True)
    reply = await client.read(f"{path}product_id=prod_gold")
    assert reply.data["pagination"]["total_count"] == 0


async def test_who_left_is_no_longer_counted_listed_or_reached(client: Client, whop: SimulatedWhop) -> None:
    whop.people = People.of({"exp_a": ["user_a", "user_b"], "exp_b": ["user_b"]})
    await client.v1(experience_id="exp_a")
    whop.people.leave("user_b")
    await client.v1(experience_id="exp_a")
    rows = (await client.read("/api/v1/members?product_ids=prod_a")).data["data"]
    assert [row["user"]["id"] for row in rows] == ["user_a"]
    assert [[*push.reached] for push in whop.pushes] == [["user_a", "user_b"], ["user_a"]]
    assert [whop.times(user, "Hello") for user in ("user_a", "user_b", "user_c")] == [2, 1, 0]


async def test_a_push_knows_whom_it_reached_once_each(client: Client, whop: SimulatedWhop) -> None:
    whop.people = CROWD
    await client.v1(experience_id="exp_all")
    await client.v1(experience_id="exp_gold", user_ids=["user_000001", "user_maya", "user_omar"])
    await client.v1(experience_id=ABSENT, account_id="biz_a")
    await client.v5(targets=[{"products": ["prod_gold"], "users": ["user_x"]}, {"companies": ["biz_a"]}])
    await client.v1(experience_id="exp_elsewhere")
    # Who is named and not in the experience is not reached.
    assert [push.reached.people for push in whop.pushes] == [100_011, 2, 2, 100_012, None]
    async with client.session.get(f"{whop.origin}/sandbox/state") as response:
        state = await response.json()
    assert [push["reached"] for push in state["pushes"]["items"]] == [100_011, 2, 2, 100_012, None]


async def test_questions_fail_apart_from_sends(client: Client, whop: SimulatedWhop) -> None:
    whop.people = CROWD
    whop.fail_reads(ReadFault.SERVER_ERROR, times=2, after=1)
    replies = [await client.read(f"{MEMBERS_OF_GOLD}&first=1") for _ in range(4)]
    assert [reply.status for reply in replies] == [200, 500, 500, 200]
    whop.read_fault = ReadFault.RATE_LIMITED
    assert (await client.read(MEMBERS_OF_GOLD)).message == "Try again in 12 seconds."
    assert (await client.v1()).status == 202
    whop.read_fault = ReadFault.FORBIDDEN
    assert (await client.read(MEMBERS_OF_GOLD)).status == 403
    whop.read_fault = ReadFault.HANG_UP
    with pytest.raises(aiohttp.ClientError):
        await client.read(MEMBERS_OF_GOLD)
    whop.read_fault = ReadFault.FIREWALL
    with pytest.raises(aiohttp.ContentTypeError):
        await client.read(MEMBERS_OF_GOLD)


async def test_questions_are_answered_with_lies_on_demand(client: Client, whop: SimulatedWhop) -> None:
    whop.people = CROWD
    whop.read_fault = ReadFault.ENDLESS
    first = await client.read(f"{MEMBERS_OF_GOLD}&first=1")
    cursor = first.data["page_info"]["end_cursor"]
    again = await client.read(f"{MEMBERS_OF_GOLD}&first=1&after={cursor}")
    assert again.data == first.data
    whop.read_fault = ReadFault.LOST_CURSOR
    info = (await client.read(f"{MEMBERS_OF_GOLD}&first=1")).data["page_info"]
    assert (info["has_next_page"], info["end_cursor"]) == (True, None)
    whop.read_fault = ReadFault.HIDDEN
    assert (await client.read(f"{MEMBERS_OF_GOLD}&first=1")).data["data"][0]["user"] is None
    total = await client.read("/api/v5/app/memberships?product_id=prod_gold&per=1")
    assert total.data["pagination"]["total_count"] == 0


async def test_questions_have_the_rate_limit_of_their_generation(
    client: Client, whop: SimulatedWhop, clock: Clock
) -> None:
    whop.people = CROWD
    statuses = [(await client.read("/api/v1/experiences/exp_gold")).status for _ in range(601)]
    assert statuses == [200] * 600 + [429]
    # On v1 each operation has a limit of its own; on v5 all share one.
    assert (await client.v1()).status == 202
    statuses = [(await client.read("/api/v5/app/experiences/exp_gold")).status for _ in range(20)]
    assert (statuses, (await client.v5()).status) == ([200] * 20, 429)


async def test_of_a_long_answer_to_a_question_only_the_beginning_is_kept(
    client: Client, whop: SimulatedWhop
) -> None:
    whop.people = CROWD
    await client.read(f"{MEMBERS_OF_GOLD}&first=100")
    assert len(only(whop.reads).response) < 5_000


async def set_fault(client: Client, fault: str, **headers: str) -> int:
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    data = json.dumps({"fault": fault})
    async with client.session.post(f"{client.origin}/sandbox/fault", data=data, headers=sent) as response:
        return response.status


async def test_only_the_page_itself_changes_the_fault(client: Client, whop: SimulatedWhop) -> None:
    for headers in (
        {},
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Sec_Fetch_Site": "cross-site"},
        {"Origin": whop.origin, "Sec_Fetch_Site": "same-site"},
        {"Origin": "http://evil.example", "Host": "evil.example"},
    ):
        assert await set_fault(client, "reject", **headers) == 403
    assert whop.fault is Fault.NONE
    assert await set_fault(client, "nonsense", Origin=whop.origin) == 400
    assert await set_fault(client, "reject", Origin=whop.origin, Sec_Fetch_Site="same-origin") == 204
    assert (whop.fault, whop.read_fault) == (Fault.REJECT, ReadFault.NONE)


@pytest.mark.parametrize("path", ["/customers", "/sandbox/state"])
async def test_the_page_is_not_served_under_a_foreign_name(client: Client, path: str) -> None:
    async with client.session.get(client.origin + path, headers={"Host": "evil.example"}) as response:
        assert response.status == 403


async def test_the_state_gives_only_what_the_page_has_not_seen(client: Client, whop: SimulatedWhop) -> None:
    for _ in range(3):
        await client.v1()
    async with client.session.get(f"{whop.origin}/sandbox/state?pushes=2") as response:
        state = await response.json()
    assert state["pushes"]["total"] == 3
    assert len(state["pushes"]["items"]) == 1
    assert len(state["exchanges"]["items"]) == 3
