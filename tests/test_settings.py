"""A wrong setting ends the start with one sentence that names the file, the key and the mend."""

import os
import re
from collections.abc import Mapping
from pathlib import Path

import pytest
from pydantic import ValidationError

from bot.errors import ConfigurationError
from bot.origin import environment_of, may_learn_key
from bot.policy.loading import load_policy
from bot.settings import Settings

TOKEN = "fake-discord-token"
KEY = "fake-whop-key"
RIGHT = {"DISCORD_TOKEN": TOKEN, "WHOP_API_KEY": KEY, "WHOP_API": "v5"}
EXAMPLE = Path(__file__).parents[1] / ".env.example"
JARGON = re.compile(
    r"Input|valid|literal|pydantic|Value error|NoneType|Errno|traceback|string|\bint\b|\bbool|\bdict|\btype",
    re.IGNORECASE,
)

UNTIDY = "it has spaces, quotes or foreign letters in it: paste the value again without them."
TOO_SHORT = "it is too short to be one: paste the whole value again."
ONLY_HOST = "write https:// and the host, nothing after it, such as https://api.whop.com."
WHOSE_HOST = "write https:// and one of Whop's hosts: api.whop.com or sandbox-api.whop.com."
NO_GENERATION = "write v1 (what Whop documents today) or v5 (the older app API); there is no default."
A_FILE = (
    "write sqlite:/// and a file, such as sqlite:///data/herald.db,"
    " or postgresql+psycopg://user:password@host/name."
)
HOST_AND_PORT = "write host:port, such as 127.0.0.1:8080."
LEVELS = "it is not one of the values: write debug, info, warning or error."

WRONG = [
    ("DISCORD_TOKEN", None, "it is missing: add the bot token from the Discord developer portal."),
    ("DISCORD_TOKEN", "", "it is missing: add the bot token from the Discord developer portal."),
    ("DISCORD_TOKEN", "' '", UNTIDY),
    ("DISCORD_TOKEN", f"Bot {TOKEN}", UNTIDY),
    ("DISCORD_TOKEN", f"“{TOKEN}”", UNTIDY),
    ("DISCORD_TOKEN", f"x'{TOKEN}'", UNTIDY),
    ("DISCORD_TOKEN", "x", TOO_SHORT),
    ("WHOP_API_KEY", KEY[:9], TOO_SHORT),
    ("WHOP_API_KEY", None, "it is missing: add your Whop app's API key."),
    ("WHOP_API_KEY", "", "it is missing: add your Whop app's API key."),
    ("WHOP_API_KEY", f"Bearer {KEY}", UNTIDY),
    ("WHOP_API_KEY", f'"{KEY}\\n"', UNTIDY),
    ("WHOP_API", None, f"it is missing: {NO_GENERATION}"),
    ("WHOP_API", "", f"it is missing: {NO_GENERATION}"),
    ("WHOP_API", "v2", f"it is not one of the values: {NO_GENERATION}"),
    ("WHOP_API", "V5", f"it is not one of the values: {NO_GENERATION}"),
    ("WHOP_API", "5", f"it is not one of the values: {NO_GENERATION}"),
    ("WHOP_BASE_URL", "https://api.whop.com/api/v1", ONLY_HOST),
    ("WHOP_BASE_URL", "https://api.whop.com?x=1", ONLY_HOST),
    ("WHOP_BASE_URL", "https://user:fake-password@api.whop.com", ONLY_HOST),
    ("WHOP_BASE_URL", "http://:fake-password@127.0.0.1:8700", ONLY_HOST),
    ("WHOP_BASE_URL", "https://evil.example\\@api.whop.com", ONLY_HOST),
    ("WHOP_BASE_URL", "api.whop.com", ONLY_HOST),
    ("WHOP_BASE_URL", "http://[::1", ONLY_HOST),
    ("WHOP_BASE_URL", "http://api.whop.com", WHOSE_HOST),
    ("WHOP_BASE_URL", "http://192.0.2.1:8700", WHOSE_HOST),
    ("WHOP_BASE_URL", "http://127.0.0.1.evil.example", WHOSE_HOST),
    ("WHOP_BASE_URL", "http://127.0.0.1:65536", WHOSE_HOST),
    ("WHOP_BASE_URL", "https://evil.example", WHOSE_HOST),
    ("WHOP_BASE_URL", "https://api.whop.com.evil.example", WHOSE_HOST),
    ("WHOP_BASE_URL", "https://api.whop.com:8443", WHOSE_HOST),
    ("WHOP_BASE_URL", "https://evil.example#api.whop.com", ONLY_HOST),
    ("WHOP_BASE_URL", "https://evil.example?api.whop.com", ONLY_HOST),
    ("WHOP_BASE_URL", "https://api.whop.com@evil.example", ONLY_HOST),
    ("WHOP_BASE_URL", "https://api.whop.com:443@evil.example", ONLY_HOST),
    ("WHOP_BASE_URL", "https://api.whop.com\\.evil.example", ONLY_HOST),
    ("WHOP_BASE_URL", "https:\\\\api.whop.com", ONLY_HOST),
    ("WHOP_BASE_URL", "https:///api.whop.com", ONLY_HOST),
    ("WHOP_BASE_URL", "//api.whop.com", ONLY_HOST),
    ("WHOP_BASE_URL", "HTTPS://api.whop.com", ONLY_HOST),
    # A Cyrillic o, a full-width dot, an accent: look-alikes are other hosts.
    ("WHOP_BASE_URL", "https://api.wh\u043ep.com", ONLY_HOST),
    ("WHOP_BASE_URL", "https://api.whop\uff0ecom", ONLY_HOST),
    ("WHOP_BASE_URL", "https://api.whóp.com", ONLY_HOST),
    ("WHOP_BASE_URL", "https://api.xn--whp-vqa.com", WHOSE_HOST),
    ("WHOP_BASE_URL", "https://api.whop.com.", WHOSE_HOST),
    ("WHOP_BASE_URL", "https://API.WHOP.COM", WHOSE_HOST),
    ("WHOP_BASE_URL", "https://api.whop.com:443", WHOSE_HOST),
    ("WHOP_BASE_URL", "https://evil.api.whop.com", WHOSE_HOST),
    ("WHOP_BASE_URL", "https://whop.com", WHOSE_HOST),
    ("WHOP_BASE_URL", "http://sandbox-api.whop.com", WHOSE_HOST),
    ("WHOP_BASE_URL", "http://localhost.evil.example", WHOSE_HOST),
    ("WHOP_BASE_URL", "http://localhost.", WHOSE_HOST),
    ("WHOP_BASE_URL", "http://evil.example.localhost", WHOSE_HOST),
    ("WHOP_BASE_URL", "http://0.0.0.0:8700", WHOSE_HOST),
    ("WHOP_BASE_URL", "http://2130706433:8700", WHOSE_HOST),
    ("WHOP_BASE_URL", "http://0x7f000001", WHOSE_HOST),
    ("WHOP_BASE_URL", "http://0177.0.0.1", WHOSE_HOST),
    ("WHOP_BASE_URL", "http://127.1", WHOSE_HOST),
    ("WHOP_BASE_URL", "http://169.254.169.254", WHOSE_HOST),
    ("WHOP_BASE_URL", "http://[::ffff:192.0.2.1]", ONLY_HOST),
    ("WHOP_BASE_URL", "http://[::]", ONLY_HOST),
    ("WHOP_BASE_URL", "http://127.0.0.1:0", WHOSE_HOST),
    ("WHOP_BASE_URL", "http://127.0.0.1:", ONLY_HOST),
    ("DATABASE_URL", "postgresql+psycopg://u:fake@password@db/herald", A_FILE),
    ("DATABASE_URL", "postgresql+psycopg://u@db/herald?sslpassword=fake-password", A_FILE),
    ("DATABASE_URL", "postgresql+psycopg://u@db/herald?oauth_client_secret=fake-password", A_FILE),
    ("DATABASE_URL", "postgresql://herald:fake-password@db/herald", A_FILE),
    ("DATABASE_URL", "postgresql+asyncpg://herald:fake-password@db/herald", A_FILE),
    ("DATABASE_URL", "postgresql+psycopg://herald:fake-password@db", A_FILE),
    ("DATABASE_URL", "postgresql+psycopg://herald:fake-password@db/", A_FILE),
    ("DATABASE_URL", "postgresql+psycopg:///herald", A_FILE),
    ("DATABASE_URL", "postgresql+psycopg://herald@db:fake-password/herald", A_FILE),
    ("DATABASE_URL", "postgresql+psycopg://db/herald?password=fake-password", A_FILE),
    ("DATABASE_URL", "mysql://herald:fake-password@db/herald", A_FILE),
    ("DATABASE_URL", "sqlite+aiosqlite:///data/herald.db", A_FILE),
    ("DATABASE_URL", "data/herald.db", A_FILE),
    ("DATABASE_URL", "sqlite://", A_FILE),
    ("DATABASE_URL", "sqlite:///", A_FILE),
    ("DATABASE_URL", "sqlite:///:memory:", A_FILE),
    ("DATABASE_URL", "sqlite:///file:herald?mode=memory&uri=true", A_FILE),
    ("DATABASE_URL", "sqlite://data/herald.db", A_FILE),
    ("DATABASE_URL", "sqlite:///data/", A_FILE),
    ("HEALTH_ADDRESS", "8080", HOST_AND_PORT),
    ("HEALTH_ADDRESS", "127.0.0.1", HOST_AND_PORT),
    ("HEALTH_ADDRESS", ":8080", HOST_AND_PORT),
    ("HEALTH_ADDRESS", "127.0.0.1:http", HOST_AND_PORT),
    ("HEALTH_ADDRESS", "127.0.0.1:65536", HOST_AND_PORT),
    ("HEALTH_ADDRESS", "127.0.0.1:80²", HOST_AND_PORT),
    ("HEALTH_ADDRESS", "http://127.0.0.1:8080", HOST_AND_PORT),
    ("LOG_LEVEL", "loud", LEVELS),
    ("LOG_LEVEL", "INFO", LEVELS),
    ("LOG_FORMAT", "xml", "it is not one of the values: write console or json."),
]

NO_PAIR = "it is no name with a value: write NAME=value, or # before it."
SPELLING = "correct the spelling or remove it."

LINES = [
    ("WHOP_API v1", f"line 4: {NO_PAIR}"),
    ("\n\nWHOP_BASE_URL", f"line 6: {NO_PAIR}"),
    (TOKEN, f"line 4: {NO_PAIR}"),
    ('LOG_LEVEL="info', f"line 4: {NO_PAIR}"),
    ("WHOP_API=v1", "WHOP_API: it stands in the file twice: remove one."),
    ("whop_api=v1", "WHOP_API: it stands in the file twice: remove one."),
    ("WHOP_BASE_ULR=x", f"WHOP_BASE_ULR: there is no such key (did you mean WHOP_BASE_URL?): {SPELLING}"),
    ("DATABSE_URL=x", f"DATABSE_URL: there is no such key (did you mean DATABASE_URL?): {SPELLING}"),
    ("WHOP_KEY_2aB9=x", f"line 4: there is no such key: {SPELLING}"),
    ("WHOP_SANDBOX=1", f"WHOP_SANDBOX: there is no such key: {SPELLING}"),
]


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in list(os.environ):
        if name.lower() in Settings.model_fields:
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


def write_env(values: Mapping[str, str | None] = RIGHT, *, more: str = "") -> None:
    lines = [f"{name}={value}" for name, value in values.items() if value is not None]
    Path(".env").write_text("\n".join([*lines, more]), encoding="utf-8")


def refusal() -> str:
    with pytest.raises(ConfigurationError) as caught:
        Settings.load()
    return str(caught.value)


@pytest.mark.parametrize(("key", "value", "sentence"), WRONG)
def test_a_wrong_setting_gets_one_sentence_with_file_key_and_mend(
    key: str, value: str | None, sentence: str
) -> None:
    write_env(RIGHT | {key: value})
    assert refusal() == f".env: {key}: {sentence}"


@pytest.mark.parametrize(("line", "sentence"), LINES)
def test_a_line_that_would_be_passed_over_in_silence_is_refused(line: str, sentence: str) -> None:
    write_env(more=line)
    assert refusal() == f".env: {sentence}"


@pytest.mark.parametrize("sentence", [row[2] for row in WRONG] + [row[1] for row in LINES])
def test_no_sentence_speaks_the_language_of_a_library(sentence: str) -> None:
    assert not JARGON.search(sentence)


def test_the_table_has_a_wrong_value_for_every_setting() -> None:
    anything_is_a_path = {"HERALD_CONFIG", "HERALD_WITNESS"}
    assert {row[0] for row in WRONG} | anything_is_a_path == {name.upper() for name in Settings.model_fields}


def test_a_missing_generation_ends_the_start_because_a_guess_could_reach_the_wrong_people() -> None:
    write_env(RIGHT | {"WHOP_API": None})
    assert refusal().startswith(".env: WHOP_API: it is missing: write v1")


def test_several_mistakes_get_one_sentence_each() -> None:
    write_env({"WHOP_API": "v3", "LOG_LEVEL": "loud"})
    assert [line.split(":")[1].strip() for line in refusal().splitlines()] == [
        "DISCORD_TOKEN",
        "WHOP_API_KEY",
        "WHOP_API",
        "LOG_LEVEL",
    ]


def test_without_an_env_file_one_sentence_says_how_to_make_one() -> None:
    assert refusal() == (
        ".env: there is no such file, and DISCORD_TOKEN, WHOP_API_KEY and WHOP_API are not set:"
        " copy .env.example to it and fill it in."
    )


def test_without_an_env_file_the_environment_alone_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in RIGHT.items():
        monkeypatch.setenv(name, value)
    assert Settings.load().whop_api == "v5"


@pytest.mark.parametrize(
    "line", [f"DISCORD_TOKEN=Bot {TOKEN}", f"WHOP_API_KEY='{TOKEN} '", TOKEN, f"DISCORD_TOKEN {TOKEN}"]
)
def test_a_secret_in_the_wrong_shape_is_not_repeated(line: str) -> None:
    Path(".env").write_text(line)
    assert TOKEN not in refusal()


def test_a_password_in_an_address_is_not_repeated() -> None:
    write_env(
        RIGHT
        | {"DATABASE_URL": "postgresql://u:fake-password@db/x", "WHOP_BASE_URL": "https://u:fake-password@x"}
    )
    assert len(refusal().splitlines()) == 2
    assert "fake-password" not in refusal()


def test_pydantics_own_error_does_not_quote_a_secret() -> None:
    with pytest.raises(ValidationError) as caught:
        Settings.model_validate({"discord_token": f"Bot {TOKEN}", "whop_api_key": KEY, "whop_api": "v1"})
    assert TOKEN not in str(caught.value)


def test_settings_show_no_secret_however_they_are_printed() -> None:
    write_env()
    settings = Settings.load()
    shown = f"{settings} {settings!r} {settings.model_dump()} {settings.model_dump_json()} {vars(settings)}"
    assert TOKEN not in shown
    assert KEY not in shown


def test_the_secrets_for_the_log_to_hide_are_both() -> None:
    write_env()
    assert set(Settings.load().secrets()) == {TOKEN, KEY}


def test_settings_cannot_be_changed_later() -> None:
    write_env()
    with pytest.raises(ValidationError, match="frozen"):
        Settings.load().whop_api = "v1"  # pyright: ignore[reportAttributeAccessIssue]


def test_the_environment_wins_over_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    write_env()
    monkeypatch.setenv("WHOP_API", "v1")
    assert Settings.load().whop_api == "v1"


def test_an_empty_variable_does_not_hide_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    write_env()
    monkeypatch.setenv("WHOP_API", "")
    assert Settings.load().whop_api == "v5"


def test_a_wrong_value_from_the_environment_is_not_blamed_on_the_file(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    write_env()
    monkeypatch.setenv("LOG_LEVEL", "loud")
    assert refusal() == f"the environment: LOG_LEVEL: {LEVELS}"


def test_without_any_file_the_environment_is_named() -> None:
    with pytest.raises(ConfigurationError, match=r"^the environment: DISCORD_TOKEN: it is missing"):
        Settings.load(env_file=None)


def test_a_file_that_is_no_utf8_is_refused_without_its_bytes() -> None:
    Path(".env").write_bytes(f"DISCORD_TOKEN={TOKEN}ü".encode("latin-1"))
    assert refusal() == ".env: it cannot be read: save it as a text file in UTF-8."


def test_a_folder_in_place_of_the_file_is_refused() -> None:
    Path(".env").mkdir()
    assert refusal() == ".env: it cannot be read (Is a directory): mend the file or its rights."


def test_a_byte_order_mark_from_a_windows_editor_does_no_harm() -> None:
    write_env()
    Path(".env").write_bytes(b"\xef\xbb\xbf" + Path(".env").read_bytes())
    assert Settings.load().discord_token.get_secret_value() == TOKEN


def test_what_others_keep_in_the_same_file_is_none_of_our_business() -> None:
    write_env(more="POSTGRES_PASSWORD=fake\nexport COMPOSE_PROJECT_NAME='herald'  # theirs")
    assert Settings.load().whop_api == "v5"


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("https://api.whop.com", "Whop production"),
        ("https://api.whop.com/", "Whop production"),
        ("https://sandbox-api.whop.com", "Whop sandbox"),
        ("http://127.0.0.1:8700", "simulated Whop"),
        ("http://localhost:8700", "simulated Whop"),
        ("http://[::1]:8700", "simulated Whop"),
        ("http://127.0.0.2", "simulated Whop"),
        ("https://127.0.0.1:8700", "simulated Whop"),
    ],
)
def test_each_place_a_send_can_go_has_its_words(address: str, words: str) -> None:
    write_env(RIGHT | {"WHOP_BASE_URL": address})
    settings = Settings.load()
    assert (settings.whop_base_url, environment_of(settings.whop_base_url)) == (
        address.removesuffix("/"),
        words,
    )


@pytest.mark.parametrize("address", [row[1] for row in WRONG if row[0] == "WHOP_BASE_URL"])
def test_no_request_to_an_address_that_is_refused_may_carry_the_key(address: str) -> None:
    for path in ("", "/", "/api/v1/notifications", "@evil.example/", "\\@evil.example/", ":80@evil.example/"):
        # Whop's own name with a path behind it is what a request looks like.
        if f"{address}{path}".startswith("https://api.whop.com/"):
            continue
        assert not may_learn_key(f"{address}{path}")


@pytest.mark.parametrize("origin", ["https://api.whop.com", "https://sandbox-api.whop.com"])
def test_the_requests_of_a_right_address_may_carry_the_key_and_no_variations_of_it(origin: str) -> None:
    assert may_learn_key(f"{origin}/api/v1/notifications?x=//evil.example@")
    for trick in (
        "@evil.example/",
        "\\@evil.example/",
        "#@evil.example/",
        "?@evil.example/",
        ".evil.example/",
    ):
        assert not may_learn_key(f"{origin}{trick}evil.example/")


@pytest.mark.parametrize(
    ("address", "kept"),
    [("0.0.0.0:80", "0.0.0.0:80"), ("localhost:0", "localhost:0"), ("[::1]:8080", "::1:8080")],
)
def test_an_address_is_kept_as_the_health_page_takes_it_apart(address: str, kept: str) -> None:
    write_env(RIGHT | {"HEALTH_ADDRESS": address})
    assert Settings.load().health_address == kept


@pytest.mark.parametrize(
    ("url", "file"), [("sqlite:///a.db", "a.db"), ("sqlite:////srv/a b.db", "/srv/a b.db")]
)
def test_the_database_file_is_what_stands_after_three_slashes(url: str, file: str) -> None:
    write_env(RIGHT | {"DATABASE_URL": url})
    assert Settings.load().database_file == Path(file)
    assert Settings.load().database == file


SERVER = "postgresql+psycopg://herald:fake%2Fpass%20word@db.example:5433/herald?sslmode=require"


def test_the_address_of_a_server_is_taken_as_it_is() -> None:
    write_env(RIGHT | {"DATABASE_URL": SERVER})
    settings = Settings.load()
    assert settings.database_url.get_secret_value() == SERVER
    assert settings.database == "postgresql+psycopg://herald:***@db.example:5433/herald?sslmode=require"
    with pytest.raises(LookupError):
        _ = settings.database_file


def test_a_socket_may_stand_in_place_of_the_host() -> None:
    write_env(RIGHT | {"DATABASE_URL": "postgresql+psycopg://herald@/herald?host=/run/postgresql"})
    assert Settings.load().database.endswith("@/herald?host=%2Frun%2Fpostgresql")


def test_the_password_of_a_server_is_a_secret_in_both_its_spellings() -> None:
    write_env(RIGHT | {"DATABASE_URL": SERVER})
    settings = Settings.load()
    assert {"fake/pass word", "fake%2Fpass%20word"} <= set(settings.secrets())
    for shown in (repr(settings), str(settings), str(settings.model_dump()), settings.model_dump_json()):
        assert "fake/pass word" not in shown
        assert "fake%2Fpass%20word" not in shown


def test_a_file_has_no_secret() -> None:
    write_env()
    assert Settings.load().secrets() == (TOKEN, KEY)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (None, "there is no such file: copy herald.example.toml to it, or correct HERALD_CONFIG."),
        (
            "folder",
            "it cannot be read (Is a directory): mend the file or its rights, or correct HERALD_CONFIG.",
        ),
        (b"name = \xff", "it cannot be read: save it as a text file in UTF-8."),
        ("a = 1\n[".encode("utf-16"), "it cannot be read: save it as a text file in UTF-8."),
        (b"", "server: it is missing: add [[server]]."),
    ],
)
def test_a_policy_that_cannot_be_read_is_named_with_its_setting(
    content: bytes | str | None, sentence: str
) -> None:
    file = Path("other.toml")
    if isinstance(content, bytes):
        file.write_bytes(content)
    elif content:
        file.mkdir()
    write_env(RIGHT | {"HERALD_CONFIG": str(file)})
    with pytest.raises(ConfigurationError) as caught:
        load_policy(Settings.load().herald_config)
    assert str(caught.value) == f"other.toml: {sentence}"


def test_the_example_names_each_setting_once_and_holds_no_secret() -> None:
    values = dict(line.split("=", 1) for line in EXAMPLE.read_text().splitlines() if line and line[0] != "#")
    assert list(values) == [name.upper() for name in Settings.model_fields]
    assert [name for name, value in values.items() if not value] == [*RIGHT, "HERALD_WITNESS"]


def test_the_example_shows_the_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    Path(".env").write_bytes(EXAMPLE.read_bytes())
    for name, value in RIGHT.items():
        monkeypatch.setenv(name, value)
    assert Settings.load() == Settings.load(env_file=None)
