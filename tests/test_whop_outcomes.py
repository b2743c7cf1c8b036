"""What each answer of Whop means: accepted, rejected, to be tried again at a time, or unknown."""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from multidict import CIMultiDict, CIMultiDictProxy
from pydantic import SecretStr

from bot.delivery import (
    Accepted,
    Attempt,
    NoAnswer,
    Outcome,
    Rejected,
    Response,
    RetryAt,
    Trouble,
    Unknown,
)
from bot.notification import Notification, Text
from bot.policy.audience import Targets
from bot.sandbox.whop import Fault, SimulatedWhop
from bot.whop import gateway_for
from bot.whop.transport import Transport
from tests.harness.found import only
from tests.properties import examples

NOW = datetime(2026, 11, 23, 9, 41, tzinfo=UTC)
V5_SAYS, V1_SAYS = '{"message":"No such topic"}', '{"error":{"type":"bad","message":"No such topic"}}'
V1_WAITS = '{"error":{"type":"rate_limit_exceeded","message":"Try again in 12 seconds."}}'
DEEP = "[" * 60_000
DEEP_OBJECT = '{"message":' * 10_000

GENERATIONS = pytest.mark.parametrize("generation", ["v1", "v5"])
# None of these is JSON that says anything, nor words, nor a page.
GARBAGE = ["", "{", "null", "[]", "7", "{}", "\0", "\ufffd", "\ufeff", DEEP, "9" * 5000]
PAGES = [
    "<html>502</html>",
    "<!DOCTYPE html><title>Attention Required!</title>",
    "\ufeff \r\n<!-- a proxy --><HTML>",
    '<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>',
    "<h1>Forbidden",
]
WORDLESS = [
    *(
        '{"message":7}',
        '{"message":null}',
        '{"message":{"a":1}}',
        '{"message":""}',
        '{"message":[[]]}',
    ),
    *('{"error":null}', '{"error":{}}', '{"errors":[]}', '{"detail":false}', '{"code":null}', '{"a":"b"}'),
]
# What Whop's envelopes, and those of the frames that such services are built with, say.
WORDED = {
    '{"error":"No such topic"}': "No such topic",
    '{"message":["No such topic","nor title"]}': "No such topic; nor title",
    '{"errors":["No such topic",{"message":"nor title"}]}': "No such topic; nor title",
    '{"errors":{"content":["is too long","is rude"]}}': "content is too long; content is rude",
    '{"detail":"No such topic"}': "No such topic",
    '{"detail":[{"loc":["body","title"],"msg":"field required","type":"missing"}]}': "field required",
    '{"title":"Not Found","status":404,"detail":"No such topic"}': "Not Found; No such topic",
    '{"statusCode":400,"error":"Bad Request","message":"No such topic"}': "Bad Request; No such topic",
    '{"error":"No such topic","message":"No such topic"}': "No such topic",
    '{"error":{"type":"invalid_request","code":"no_topic"}}': "no_topic; invalid_request",
    '{"code":"no_topic"}': "no_topic",
    '{"code":1015}': "1015",
    '{"error":{"code":"no_topic","message":"No such topic"}}': "No such topic",
    "No such topic": "No such topic",
    '"No such topic"': "No such topic",
    '["No such topic"]': "No such topic",
    '\ufeff{"message":"No such topic"}': "No such topic",
    '\ufeff{"error":{"message":"No such topic"}}': "No such topic",
    '{"error":{"message":"No such to': '{"error":{"message":"No such to',
}
NO_SAID = {
    '{"success":false}': "",
    '\ufeff{"success":false}': "",
    '{"success":false,"message":"No such topic"}': ": No such topic",
    '{"success":true,"error":"No such topic"}': ": No such topic",
    '{"errors":["No such topic"]}': ": No such topic",
    '{"error":{"message":[]}}': "",
    V1_SAYS: ": No such topic",
}


def shortened(body: str) -> str:
    return repr(body)[:30]


def read(generation: str, answer: Response | NoAnswer, *, attempt: int = 1) -> Outcome:
    return gateway_for(generation, origin="https://api.whop.com").read(answer, attempt=attempt, now=NOW)


def answer(status: int, body: str = "", headers: Mapping[str, str] | None = None) -> Response:
    return Response(status=status, headers=headers or {}, body=body)


def wait(generation: str, body: str = "", headers: Mapping[str, str] | None = None) -> float:
    """Return for how many seconds a 429 makes Herald wait."""
    outcome = read(generation, answer(429, body, headers))
    assert isinstance(outcome, RetryAt)
    return (outcome.at - NOW).total_seconds()


@GENERATIONS
@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
@pytest.mark.parametrize(
    "body",
    [
        *GARBAGE,
        *WORDLESS,
        *('{"success":true}', '{"status":"created"}', V5_SAYS, "OK", "<3", '{"success":fal', DEEP_OBJECT),
        *('{"success":true,"error":null,"errors":[]}', '{"success":null}'),
    ],
    ids=shortened,
)
def test_any_2xx_is_accepted_unless_its_body_contradicts_it(generation: str, status: int, body: str) -> None:
    assert read(generation, answer(status, body)) == Accepted()


@GENERATIONS
@pytest.mark.parametrize("status", [200, 201, 202, 299])
@pytest.mark.parametrize(("body", "words"), NO_SAID.items())
def test_a_2xx_whose_body_says_no_is_unknown(generation: str, status: int, body: str, words: str) -> None:
    assert read(generation, answer(status, body)) == Unknown(
        f"Whop's answer contradicts itself ({status}{words})"
    )


@GENERATIONS
@pytest.mark.parametrize("status", [200, 202, 302, 400, 401, 403, 404, 408, 500, 502, 600])
@pytest.mark.parametrize("page", PAGES, ids=shortened)
def test_a_page_is_not_whops_answer_whatever_its_status(generation: str, status: int, page: str) -> None:
    outcome = read(generation, answer(status, page))
    assert isinstance(outcome, Unknown)
    assert outcome.reason.startswith(f"what answered is a web page and not Whop ({status}")
    assert outcome.trouble is Trouble.NOT_WHOP


@GENERATIONS
def test_a_page_is_known_by_its_type_too_and_shown_by_its_title(generation: str) -> None:
    html = {"content-type": "text/html; charset=utf-8"}
    assert read(generation, answer(200, "Blocked", html)) == Unknown(
        "what answered is a web page and not Whop (200)", Trouble.NOT_WHOP
    )
    titled = "<html><head><title lang='en'>\nAttention &amp; care\n</title>" + "x" * 5000
    assert read(generation, answer(403, titled)) == Unknown(
        "what answered is a web page and not Whop (403: Attention & care)", Trouble.NOT_WHOP
    )
    # Whop's own words, though they bear the wrong name, and nothing at all.
    assert read(generation, answer(400, V1_SAYS, html)) == Rejected("Whop answered 400: No such topic")
    assert read(generation, answer(202, " ", html)) == Accepted()


@GENERATIONS
def test_a_page_that_asks_to_wait_is_waited_for(generation: str) -> None:
    assert wait(generation, PAGES[0], {"Retry-After": "7"}) == 7


@GENERATIONS
@pytest.mark.parametrize("status", [400, 401, 402, 403, 404, 405, 410, 413, 415, 422, 425, 451])
@pytest.mark.parametrize("body", [V5_SAYS, V1_SAYS])
def test_a_refusal_is_rejected_with_whops_words_in_either_envelope(
    generation: str, status: int, body: str
) -> None:
    trouble = Trouble.CREDENTIAL if status == 401 else None
    assert read(generation, answer(status, body)) == Rejected(
        f"Whop answered {status}: No such topic", trouble
    )


@GENERATIONS
@pytest.mark.parametrize(("body", "words"), WORDED.items())
def test_whops_words_are_shown_wherever_they_stand(generation: str, body: str, words: str) -> None:
    assert read(generation, answer(400, body)) == Rejected(f"Whop answered 400: {words}")
    assert read(generation, answer(404, body)) == Rejected(f"Whop answered 404: {words}")


@GENERATIONS
@pytest.mark.parametrize("body", [*GARBAGE, *WORDLESS], ids=shortened)
def test_a_refusal_without_words_is_rejected_all_the_same(generation: str, body: str) -> None:
    assert read(generation, answer(400, body)) == Rejected("Whop answered 400")


# --- whom a refusal is about ------------------------------------------------------------------------

OF_THE_CREDENTIAL = [
    "This credential is not attributed to an app",
    "This credential lacks the permission notification:create",
    "Invalid API key",
    "The key was revoked",
    "The token has expired",
    "A company API key cannot send notifications",
]
OF_ONE_REQUEST = [
    "App is not installed on this account",
    "No permission for the experience exp_gold",
    "This API key may not act on biz_other",
    "Forbidden",
    "",
]


@GENERATIONS
@pytest.mark.parametrize("said", ["", '{"message":"No"}', "No"])
def test_a_401_is_about_the_credential_whatever_it_says(generation: str, said: str) -> None:
    outcome = read(generation, answer(401, said))
    assert isinstance(outcome, Rejected)
    assert outcome.trouble is Trouble.CREDENTIAL


@GENERATIONS
@pytest.mark.parametrize(
    ("said", "trouble"),
    [*((said, Trouble.CREDENTIAL) for said in OF_THE_CREDENTIAL), *((said, None) for said in OF_ONE_REQUEST)],
)
def test_a_403_is_about_the_credential_only_if_it_says_so_and_names_nothing_else(
    generation: str, said: str, trouble: Trouble | None
) -> None:
    for body in ({"message": said}, {"error": {"type": "forbidden", "message": said}}, {"error": said}):
        outcome = read(generation, answer(403, json.dumps(body)))
        assert isinstance(outcome, Rejected)
        assert outcome.trouble is trouble
        # The same words in another refusal are about what was asked for.
        assert getattr(read(generation, answer(404, json.dumps(body))), "trouble", None) is None


def test_a_403_is_about_the_credential_if_only_its_code_says_so() -> None:
    outcome = read("v1", answer(403, '{"error":{"code":"invalid_api_key","message":"No"}}'))
    assert outcome == Rejected("Whop answered 403: No", Trouble.CREDENTIAL)


# --- what is in doubt --------------------------------------------------------------------------------


@GENERATIONS
@pytest.mark.parametrize("status", [101, 301, 302, 303, 304, 307, 308, 408, 409, 499])
@pytest.mark.parametrize("body", [V5_SAYS, V1_SAYS, *GARBAGE], ids=shortened)
def test_an_answer_that_decides_nothing_is_unknown(generation: str, status: int, body: str) -> None:
    assert isinstance(read(generation, answer(status, body)), Unknown)


@GENERATIONS
@pytest.mark.parametrize("status", [500, 501, 502, 503, 504, 520, 524, 529, 599, 600, 999, 0])
def test_a_server_error_is_unknown_even_if_it_names_a_wait(generation: str, status: int) -> None:
    overload = Trouble.OVERLOAD if status else None
    assert read(generation, answer(status, V1_WAITS, {"Retry-After": "5"})) == Unknown(
        f"Whop answered {status}: Try again in 12 seconds.", overload
    )


def test_v1_waits_as_long_as_the_message_says() -> None:
    assert read("v1", answer(429, V1_WAITS)) == RetryAt(
        NOW + timedelta(seconds=12),
        "Whop asks to wait (429: Try again in 12 seconds.)",
        Trouble.OVERLOAD,
    )


def test_v5_waits_for_its_cool_down() -> None:
    assert read("v5", answer(429, '{"message":"You are being rate limited"}')) == RetryAt(
        NOW + timedelta(seconds=60),
        "Whop asks to wait (429: You are being rate limited)",
        Trouble.OVERLOAD,
    )


@pytest.mark.parametrize(
    ("message", "waits"),
    [
        ("Try again in 1 second.", 1),
        ("Slow down! try AGAIN in 7 seconds, please", 7),
        ("x" * 5000 + " Try again in 12 seconds.", 12),
        ("Try again in 0 seconds.", 60),
        ("Try again in 2 minutes.", 120),
        ("Try again in 90 seconds", 90),
        ("Try again in 1 hour.", 900),
        ("Try again in 1 minute and 30 seconds.", 90),
        ("Please retry after 2m 5s", 125),
        ("Wait 3.5 sec, then try again in 4 minutes", 240),
        ("Try again in 2 months.", 60),
        ("Try again in a minute.", 60),
        ("Try again in " + "9999 hours, " * 5000, 900),
        ("Try again in -5 seconds.", 60),
        ("Try again in ٣ seconds.", 60),
        ("Try again in 86400 seconds.", 900),
        (f"Try again in {'9' * 5000} seconds.", 900),
    ],
)
def test_the_wait_is_read_out_of_the_message(message: str, waits: float) -> None:
    assert wait("v1", json.dumps({"error": {"message": message}})) == waits
    assert wait("v5", json.dumps({"message": message})) == waits


@GENERATIONS
@pytest.mark.parametrize(
    ("value", "waits"),
    [
        ("7", 7),
        ("120", 120),
        ("900", 900),
        ("901", 900),
        ("999999", 900),
        ("9" * 5000, 900),
        ("0", 60),
        ("-5", 60),
        ("1.5", 1.5),
        ("120.5", 120.5),
        ("", 60),
        (" 7", 7),
        ("5, 120", 120),
        ("120, 120.5", 120.5),
        ("30s", 30),
        ("2 minutes", 120),
        ("٣", 60),
        ("²", 60),
        ("Wed, 21 Oct 2026 07:28:00 GMT", 60),
        ("Mon, 23 Nov 2026 09:43:00 GMT", 120),
        ("Monday, 23-Nov-26 09:43:00 GMT", 120),
        ("Mon Nov 23 09:43:00 2026", 120),
        ("Mon, 23 Nov 2026 09:43:00 GMT, 5", 120),
        ("5, Mon, 23 Nov 2026 09:43:00 GMT", 120),
        ("Mon, 23 Nov 2099 09:43:00 GMT", 900),
        ("Mon, 99 Nov 2026 99:43:00 GMT", 60),
        ("in a while", 60),
        ("\udcff", 60),
    ],
)
def test_a_429_waits_as_long_as_the_header_says_but_never_over_15_minutes(
    generation: str, value: str, waits: float
) -> None:
    assert wait(generation, "", {"Retry-After": value}) == waits


@GENERATIONS
@pytest.mark.parametrize("name", ["Retry-After", "retry-after", "RETRY-AFTER"])
def test_the_header_is_found_in_any_case_and_any_mapping(generation: str, name: str) -> None:
    assert wait(generation, "", {name: "7"}) == 7
    assert wait(generation, "", CIMultiDictProxy(CIMultiDict({name: "7"}))) == 7


@GENERATIONS
def test_a_date_is_by_the_clock_of_whoever_wrote_it(generation: str) -> None:
    ahead = {"Date": "Mon, 23 Nov 2026 12:00:00 GMT", "Retry-After": "Mon, 23 Nov 2026 12:00:30 GMT"}
    assert wait(generation, "", ahead) == 30


def test_v1_waits_for_the_longer_of_header_and_message() -> None:
    assert wait("v1", V1_WAITS, {"Retry-After": "5"}) == 12
    assert wait("v1", V1_WAITS, {"Retry-After": "30"}) == 30


@GENERATIONS
def test_a_huge_message_is_cut(generation: str) -> None:
    outcome = read(generation, answer(400, json.dumps({"message": "x" * 50_000})))
    assert outcome == Rejected("Whop answered 400: " + "x" * 300)


@GENERATIONS
@pytest.mark.parametrize("message", ["No\nsuch\ttopic", "No \0such\u202e topic\r\n", " No such\ud800topic "])
def test_whops_words_become_one_line_that_can_be_stored_and_shown(generation: str, message: str) -> None:
    for body in ({"message": message}, {"error": {"message": message}}):
        assert read(generation, answer(400, json.dumps(body))) == Rejected("Whop answered 400: No such topic")


@GENERATIONS
def test_no_answer_after_bytes_left_is_unknown(generation: str) -> None:
    silence = NoAnswer(reason="it took too long", bytes_left=True)
    assert read(generation, silence) == Unknown("no answer from Whop: it took too long")


@GENERATIONS
@pytest.mark.parametrize(
    ("attempt", "longest"), [(1, 4), (2, 8), (3, 16), (5, 64), (6, 120), (50, 120), (10**9, 120)]
)
def test_a_connection_never_made_is_tried_again_within_bounds(
    generation: str, attempt: int, longest: float
) -> None:
    silence = NoAnswer(reason="no connection", bytes_left=False)
    outcomes = [read(generation, silence, attempt=attempt) for _ in range(50)]
    again = [outcome for outcome in outcomes if isinstance(outcome, RetryAt)]
    assert again == outcomes
    assert {outcome.reason for outcome in again} == {"Whop could not be reached: no connection"}
    waits = {(outcome.at - NOW).total_seconds() for outcome in again}
    # Not all the same: after an outage, not everything knocks at once.
    assert len(waits) > 1
    assert longest / 10 <= min(waits)
    assert max(waits) <= longest


# --- with a key that is proven ---------------------------------------------------------------------


def tried(before: timedelta, status: int | None) -> Attempt:
    return Attempt(started_at=NOW - before, finished_at=NOW, http_status=status)


def again(reason: str, after: timedelta = timedelta(seconds=4), trouble: Trouble | None = None) -> RetryAt:
    return RetryAt(NOW + after, reason, trouble)


SECOND, QUARTER = timedelta(seconds=1), timedelta(minutes=15)
KNOWN_AS_ANOTHER = '{"error":{"type":"idempotency_key_mismatch","message":"Other"}}'
STILL_BUSY = '{"error":{"code":"idempotency_request_in_progress","message":"Busy"}}'
BUSY = "Whop is still busy with the first attempt (409: Busy)"
TOO_LONG = Unknown("Whop has been busy with the first attempt for too long (409: Busy)")
REFUSED = "Whop answered 401: No such topic"
DOUBTFUL = Unknown(f"{REFUSED}, but an earlier attempt was left without a final answer", Trouble.CREDENTIAL)
WITH_KEY: Mapping[str, tuple[Response | NoAnswer, Sequence[Attempt], Outcome]] = {
    "silence": (NoAnswer(reason="late", bytes_left=True), (), again("no answer from Whop: late")),
    "no connection": (NoAnswer(reason="off", bytes_left=False), (), again("Whop could not be reached: off")),
    "accepted": (answer(200), (), Accepted()),
    "accepted at last": (answer(201), [tried(SECOND, None)], Accepted()),
    "the key of another": (
        answer(400, KNOWN_AS_ANOTHER),
        (),
        Unknown("Whop knows the idempotency key from another request (400: Other)", Trouble.OURS),
    ),
    "the key of another, in `code`": (
        answer(400, KNOWN_AS_ANOTHER.replace("type", "code")),
        (),
        Unknown("Whop knows the idempotency key from another request (400: Other)", Trouble.OURS),
    ),
    "the key of another, by another status": (
        answer(409, KNOWN_AS_ANOTHER),
        (),
        Unknown("Whop answered 409: Other"),
    ),
    "busy": (answer(409, STILL_BUSY), (), again(BUSY)),
    "busy, in `type`": (answer(409, STILL_BUSY.replace("code", "type")), (), again(BUSY)),
    "busy, by another status": (answer(400, STILL_BUSY), (), Rejected("Whop answered 400: Busy")),
    "busy for nearly too long": (
        answer(409, STILL_BUSY),
        [tried(QUARTER - timedelta(microseconds=1), 409)],
        again(BUSY),
    ),
    "busy for too long": (
        answer(409, STILL_BUSY),
        [tried(QUARTER, 409), tried(SECOND, 409)],
        TOO_LONG,
    ),
    "busy for the first time, though tried long ago": (
        answer(409, STILL_BUSY),
        [tried(QUARTER, 500)],
        again(BUSY),
    ),
    "another conflict": (answer(409, V1_SAYS), (), Unknown("Whop answered 409: No such topic")),
    **{
        f"a trouble of Whop's, {status}": (
            answer(status),
            (),
            again(f"Whop answered {status}", trouble=trouble),
        )
        for status, trouble in ((408, None), (499, None), (500, Trouble.OVERLOAD), (599, Trouble.OVERLOAD))
    },
    "no status of HTTP": (answer(600), (), Unknown("Whop answered 600", Trouble.OVERLOAD)),
    "a redirection": (answer(399), (), Unknown("Whop answered 399")),
    "too early": (answer(425), (), again("Whop asks to wait (425)")),
    "asked to wait": (
        answer(429),
        (),
        again("Whop asks to wait (429)", timedelta(minutes=1), Trouble.OVERLOAD),
    ),
    "asked to wait for less than is waited anyhow": (
        answer(429, headers={"Retry-After": "1"}),
        (),
        again("Whop asks to wait (429)", trouble=Trouble.OVERLOAD),
    ),
    "asked to wait for too long": (
        answer(429, headers={"Retry-After": "901"}),
        (),
        again("Whop asks to wait (429)", QUARTER, Trouble.OVERLOAD),
    ),
    "a page in the place of an answer": (
        answer(403, "<html>"),
        (),
        again("what answered is a web page and not Whop (403)", trouble=Trouble.NOT_WHOP),
    ),
    "a page under an acceptance": (
        answer(202, "<html>"),
        (),
        again("what answered is a web page and not Whop (202)", trouble=Trouble.NOT_WHOP),
    ),
    "a page of a server in trouble": (
        answer(502, "<html><title>Bad gateway</title>"),
        (),
        again("Whop answered 502: Bad gateway", trouble=Trouble.OVERLOAD),
    ),
    "an acceptance that says no": (
        answer(202, '{"success":false}'),
        (),
        Unknown("Whop's answer contradicts itself (202)"),
    ),
    "refused": (answer(401, V1_SAYS), (), Rejected(REFUSED, Trouble.CREDENTIAL)),
    "refused after a try that reached nobody": (
        answer(401, V1_SAYS),
        [tried(SECOND, 429)],
        Rejected(REFUSED, Trouble.CREDENTIAL),
    ),
    "refused after a try in doubt": (answer(401, V1_SAYS), [tried(SECOND, 500)], DOUBTFUL),
    "refused after a try in doubt, as the answer to it": (
        answer(401, V1_SAYS, {"Idempotent-Replayed": "True "}),
        [tried(SECOND, None)],
        Rejected(REFUSED, Trouble.CREDENTIAL),
    ),
    "refused after a try in doubt, not as the answer to it": (
        answer(401, V1_SAYS, {"Idempotent-Replayed": "false", "X-Other": "true"}),
        [tried(SECOND, None)],
        DOUBTFUL,
    ),
}


@pytest.mark.parametrize("case", WITH_KEY)
def test_with_a_proven_key_it_is_tried_again_where_whop_knows_it_and_in_doubt_it_stays_unknown(
    monkeypatch: pytest.MonkeyPatch, case: str
) -> None:
    monkeypatch.setattr("bot.whop.gateway.random.uniform", max)
    said, earlier, expected = WITH_KEY[case]
    v1 = gateway_for("v1", origin="https://api.whop.com")
    assert v1.read(said, attempt=1, now=NOW, proven=True, earlier=earlier) == expected


# --- whatever comes --------------------------------------------------------------------------------

KEYS = ["error", "errors", "message", "detail", "type", "code", "success"]
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(KEYS), inner),
    max_leaves=8,
)
BODIES = st.text() | JSON_VALUES.map(json.dumps) | st.sampled_from([*PAGES, *NO_SAID, *WORDED, DEEP_OBJECT])
WAITS = st.text() | st.from_regex(
    r"([A-Z][a-z]{2}, )?[0-9 ]{2} [A-Z][a-z]{2} [0-9]{4} [0-9:]{8} GMT|[0-9.,]+"
)
HEADERS = st.dictionaries(
    st.text() | st.sampled_from(["Retry-After", "retry-after", "Date", "Content-Type"]), WAITS
)
TRIED = st.lists(st.sampled_from([tried(SECOND, None), tried(SECOND, 429), tried(QUARTER, 409)]), max_size=3)


@GENERATIONS
@given(
    status=st.integers(-1, 1000) | st.sampled_from([200, 202, 400, 403, 429, 500]),
    headers=HEADERS,
    body=BODIES,
    proven=st.booleans(),
    earlier=TRIED,
)
@example(status=429, headers={"Retry-After": "9" * 5000}, body=DEEP, proven=True, earlier=[])
@examples(150)
def test_whatever_whop_answers_there_is_an_outcome_and_only_a_2xx_is_accepted(
    generation: str,
    status: int,
    headers: dict[str, str],
    body: str,
    proven: bool,
    earlier: list[Attempt],
) -> None:
    gateway = gateway_for(generation, origin="https://api.whop.com")
    outcome = gateway.read(answer(status, body, headers), attempt=1, now=NOW, proven=proven, earlier=earlier)
    assert isinstance(outcome, Accepted | Rejected | RetryAt | Unknown)
    if isinstance(outcome, Accepted):
        assert 200 <= status < 300
    else:
        assert outcome.reason.isprintable()
        assert len(outcome.reason.encode()) < 2000
    if isinstance(outcome, RetryAt):
        assert timedelta() < outcome.at - NOW <= timedelta(minutes=15)
    if not proven:
        assert isinstance(outcome, RetryAt) == (status == 429)


@pytest.mark.parametrize(
    ("fault", "generation", "outcome", "pushed"),
    [
        (fault, generation, outcome, pushed)
        for fault, outcomes, pushed in [
            (Fault.NONE, (Accepted(), Accepted()), 1),
            (
                Fault.RATE_LIMITED,
                (
                    RetryAt(
                        NOW + timedelta(seconds=12),
                        "Whop asks to wait (429: Try again in 12 seconds.)",
                        Trouble.OVERLOAD,
                    ),
                    RetryAt(
                        NOW + timedelta(seconds=60),
                        "Whop asks to wait (429: You are being rate limited)",
                        Trouble.OVERLOAD,
                    ),
                ),
                0,
            ),
            (
                Fault.SERVER_ERROR,
                (Unknown("Whop answered 500: Something went wrong on our side", Trouble.OVERLOAD),) * 2,
                0,
            ),
            (
                Fault.UNAUTHORIZED,
                (Rejected("Whop answered 401: The API key is missing or not valid", Trouble.CREDENTIAL),) * 2,
                0,
            ),
            (Fault.REJECT, (Rejected("Whop answered 400: The notification was rejected"),) * 2, 0),
            (
                Fault.NOT_INSTALLED,
                (Rejected("Whop answered 403: The app is not installed on this account"),) * 2,
                0,
            ),
            (
                Fault.FIREWALL,
                (
                    Unknown(
                        "what answered is a web page and not Whop (403: Sorry, you have been blocked)",
                        Trouble.NOT_WHOP,
                    ),
                )
                * 2,
                0,
            ),
            (Fault.SLOW, (Unknown("no answer from Whop: it took too long"),) * 2, 1),
            (Fault.DROP_AFTER_ACCEPT, (Unknown("no answer from Whop: the connection was closed"),) * 2, 1),
            (Fault.DROP_BEFORE_ACCEPT, (Unknown("no answer from Whop: the connection was closed"),) * 2, 0),
        ]
        for generation, outcome in zip(("v1", "v5"), outcomes, strict=True)
    ],
)
async def test_every_fault_of_the_simulated_whop_has_its_outcome(
    fault: Fault, generation: str, outcome: Outcome, pushed: int
) -> None:
    whop = SimulatedWhop(api_keys=("fake-whop-key",), clock=lambda: NOW, slow_seconds=60)
    await whop.start()
    whop.fault = fault
    gateway = gateway_for(generation, origin=whop.origin)
    hello = Notification(topic="drops", all=Text(subject="Hello", content="World"))
    request = only(gateway.build(hello, Targets(experiences=("exp_a",)), new_key=lambda: str(uuid4())))
    try:
        seconds = 0.1 if fault is Fault.SLOW else 10
        async with Transport(api_key=SecretStr("fake-whop-key"), total_seconds=seconds) as transport:
            assert gateway.read(await transport.send(request), attempt=1, now=NOW) == outcome
    finally:
        await whop.close()
    assert (len(whop.exchanges), len(whop.pushes)) == (1, pushed)
