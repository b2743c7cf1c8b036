"""A wrong herald.toml ends the start with one sentence for each mistake: the file, the key, the mend."""

import json
import re
import tomllib
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, date, datetime, timedelta
from functools import reduce
from operator import getitem, setitem
from pathlib import Path
from typing import Any, cast

import pytest

from bot.errors import ConfigurationError
from bot.policy.loading import load_policy, parse_policy
from bot.policy.model import ACCOUNT, Policy, Rules
from bot.policy.names import refuse_alike
from bot.preflight import look_at_templates
from bot.whop import gateway_for
from bot.whop.gateway import check_policy
from tests.harness.found import only

EXAMPLE = Path(__file__).parents[1] / "herald.example.toml"
RIGHT = """\
[[server]]
name = "Sunrise"
guild = 104900000000000001
[server.channels]
review = 104900000000000011
audit = 104900000000000012
[server.roles]
compose = [104900000000000021]
approve = [104900000000000022]
operate = [104900000000000023]
audit = [104900000000000024]
[server.rules]
approvals = 2
undo_window = "60s"
review_expires = "24h"
missed_after = "15m"
[[server.topic]]
id = "announcements"
name = "Announcements"
[[server.audience]]
name = "Gold"
targets.products = ["prod_gold", "prod_old"]
[[server.audience]]
name = "All"
targets.users = ["user_maya"]
targets.companies = ["biz_sunrise"]
targets.experiences = ["exp_chat"]
targets.team = "biz_sunrise"
targets.users_in_experience = { experience = "exp_vip", users = ["user_omar"] }
approvals = 3
"""
ANOTHER = RIGHT.replace("Sunrise", "Sunset")

TEMPLATE = """\
[[server.template]]
name = "Down"
audience = "Gold"
topic = "announcements"
subject = "Down"
content = "Sorry {a}"
"""

S, GOLD, ALL = "server “Sunrise”", "server “Sunrise”, audience “Gold”", "server “Sunrise”, audience “All”"
TOPIC = "server “Sunrise”, topic “Announcements”"
SNOWFLAKE = "write a Discord id, the long number that “Copy ID” gives, such as 104900000000000000."
PILED = "G\u0336\u0336\u0336\u0336⟨U+0336⟩old"
TEXT = "write 1 to 100 characters in quotes, on one line."
HOST = 'write the name of a host in small letters and quotes, such as "whop.com".'
WHOLE = "write a whole number from 1 to 20, without quotes."
PEOPLE = "write a whole number from 0 to 1000000000, without quotes."
SEVERITY = 'write "off", "warn" or "stop", in quotes.'
TOPIC_ID = "write 1 to 100 letters, digits, dots, dashes or underscores, in quotes."
LIST = "write a list in square brackets."
ENTRY = "write at least one entry."
TWICE = "the same value stands in it twice: remove one."
ADD = "it is missing: add it."
UNKNOWN = "there is no such key: correct the spelling or remove it."
SOMEBODY = "name at least one target: users, products, companies, experiences, team, users_in_experience."


def meant(key: str) -> str:
    return f"there is no such key (did you mean {key}?): correct the spelling or remove it."


def unseen(shown: str) -> str:
    return f"there is what nobody would see, or tell apart, in “{shown}”: type the name anew."


def begins(kind: str) -> str:
    return f"write a Whop id that begins with {kind}_, in quotes."


def between(least: str, most: str) -> str:
    return f'write a duration from "{least}" to "{most}", such as "60s", "15m", "24h" or "7d".'


NO_LONGER = between("0s", "30d")


def quoted(*values: str) -> list[str]:
    return [f'"{value}"' for value in values]


# What stands in RIGHT, what somebody wrote instead, and what they read.
WRONG = [
    # servers
    (RIGHT, "", "server: it is missing: add [[server]]."),
    (RIGHT, "server = []", f"server: {ENTRY}"),
    (RIGHT, "server = 5", "server: write it as a table that begins with [[server]]."),
    (RIGHT, 'server = ["Sunrise"]', "server.1: write it as a table that begins with [[server]]."),
    ("[[server]]", "[server]", "server: write [[server]], with two pairs of brackets."),
    (RIGHT, RIGHT.replace("server", "servers"), f"servers: {meant('server')}"),
    (
        RIGHT,
        RIGHT.replace("[server.", "[").replace("[[server]]\n", ""),
        "server: it is missing: add [[server]].",
    ),
    (
        RIGHT,
        RIGHT + ANOTHER,
        "server “Sunset”: guild: “Sunrise” has the same id: correct it, or remove one of the two.",
    ),
    ("[[server]]", "rule = 1\n[[server]]", f"rule: {UNKNOWN}"),
    # lint
    *(
        (
            "[[server.topic]]",
            f"[server.lint]\ncapitals = {value}\n[[server.topic]]",
            f"{S}: lint.capitals: {SEVERITY}",
        )
        for value in ('"error"', "true", "[]", "{}", '["warn"]')
    ),
    (
        "[[server.topic]]",
        '[server.lint]\ncapital = "off"\n[[server.topic]]',
        f"{S}: lint.capital: {meant('capitals')}",
    ),
    (
        "[[server.topic]]",
        "[[server.lint]]\n[[server.topic]]",
        f"{S}: lint: write [server.lint], with one pair of brackets.",
    ),
    # name
    ('name = "Sunrise"\n', "", f"server.1.name: {ADD}"),
    ('name = "Sunrise"', 'nam = "Sunrise"', f"server.1.nam: {meant('name')}"),
    ('"Sunrise"', '"  "', f"server.1.name: {TEXT}"),
    ('"Sunrise"', "5", f"server.1.name: {TEXT}"),
    ('"Sunrise"', f'"{"x" * 101}"', f"server.1.name: {TEXT}"),
    ('"Sunrise"', r'"Sun\nrise"', f"server.1.name: {TEXT}"),
    ('"Sunrise"', r'"Sun\u2028rise"', f"server.1.name: {TEXT}"),
    # guild
    ("guild = 104900000000000001\n", "", f"{S}: guild: {ADD}"),
    ("guild =", "guilt =", f"{S}: guilt: {meant('guild')}"),
    ("104900000000000001", "0", f"{S}: guild: {SNOWFLAKE}"),
    ("104900000000000001", "-104900000000000001", f"{S}: guild: {SNOWFLAKE}"),
    ("104900000000000001", "104900000000000001.0", f"{S}: guild: {SNOWFLAKE}"),
    ("104900000000000001", "9223372036854775808", f"{S}: guild: {SNOWFLAKE}"),
    ("104900000000000001", "true", f"{S}: guild: {SNOWFLAKE}"),
    ("104900000000000001", '"Sunrise"', f"{S}: guild: {SNOWFLAKE}"),
    # channels
    (
        "[server.channels]\nreview = 104900000000000011\naudit = 104900000000000012\n",
        "",
        f"{S}: channels: it is missing: add [server.channels].",
    ),
    ("[server.channels]", "[server.channel]", f"{S}: channel: {meant('channels')}"),
    (
        "[server.channels]",
        "[[server.channels]]",
        f"{S}: channels: write [server.channels], with one pair of brackets.",
    ),
    ("[server.channels]", "[channels]", "channels: it stands outside of a server: write [server.channels]."),
    ("review = 104900000000000011\n", "", f"{S}: channels.review: {ADD}"),
    ("review =", "reveiw =", f"{S}: channels.reveiw: {meant('review')}"),
    ("104900000000000011", '"#review"', f"{S}: channels.review: {SNOWFLAKE}"),
    ("audit = 104900000000000012\n", "", f"{S}: channels.audit: {ADD}"),
    ("104900000000000012", "[104900000000000012]", f"{S}: channels.audit: {SNOWFLAKE}"),
    # roles
    ("[server.roles]", "[server.rolls]", f"{S}: rolls: {meant('roles')}"),
    ("compose = [104900000000000021]\n", "", f"{S}: roles.compose: {ADD}"),
    ("compose = [", "composed = [", f"{S}: roles.composed: {meant('compose')}"),
    ("[104900000000000021]", "104900000000000021", f"{S}: roles.compose: {LIST}"),
    ("[104900000000000021]", "[]", f"{S}: roles.compose: {ENTRY}"),
    ("[104900000000000021]", "[0]", f"{S}: roles.compose.1: {SNOWFLAKE}"),
    ("[104900000000000022]", '[104900000000000022, "Approvers"]', f"{S}: roles.approve.2: {SNOWFLAKE}"),
    ("[104900000000000022]", '["@everyone"]', f"{S}: roles.approve.1: {SNOWFLAKE}"),
    (
        "[104900000000000022]",
        "[104900000000000022, 104900000000000001]",
        f"{S}: roles.approve: 104900000000000001 is the server itself, which as a role is @everyone:"
        " name a role that only some have.",
    ),
    ("[104900000000000023]", '[104900000000000023, "104900000000000023"]', f"{S}: roles.operate: {TWICE}"),
    ("operate = [104900000000000023]\n", "", f"{S}: roles.operate: {ADD}"),
    ("audit = [104900000000000024]", 'audit = ""', f"{S}: roles.audit: {LIST}"),
    # rules
    ("[server.rules]", "[server.rule]", f"{S}: rule: {meant('rules')}"),
    ("guild =", "approvals = 2\nguild =", f"{S}: approvals: {meant('rules.approvals')}"),
    ("[server.rules]", "[rules]", "rules: it stands outside of a server: write [server.rules]."),
    ("approvals = 2\n", "approval = 2\n", f"{S}: rules.approval: {meant('approvals')}"),
    *(
        (("approvals = 2\n", f"approvals = {value}\n", f"{S}: rules.approvals: {WHOLE}"))
        for value in ("0", "-1", "21", '"2"', "2.0", "true")
    ),
    *(
        ('undo_window = "60s"', f"undo_window = {value}", f"{S}: rules.undo_window: {between('0s', '1h')}")
        for value in ("60", '"60"', '"-1s"', '"1w"', '"61m"', '"1h30m"', '"1.5h"', '""', "00:01:00", '"９s"')
    ),
    ('"24h"', '"4m"', f"{S}: rules.review_expires: {between('5m', '30d')}"),
    ('"24h"', '"31d"', f"{S}: rules.review_expires: {between('5m', '30d')}"),
    ('"15m"', '"59s"', f"{S}: rules.missed_after: {between('1m', '20h')}"),
    ('"15m"', '"21h"', f"{S}: rules.missed_after: {between('1m', '20h')}"),
    # topics
    (
        '[[server.topic]]\nid = "announcements"\nname = "Announcements"\n',
        "",
        f"{S}: topic: it is missing: add [[server.topic]].",
    ),
    ("[[server.topic]]", "[[server.topics]]", f"{S}: topics: {meant('topic')}"),
    (
        "[[server.topic]]",
        "[server.topic]",
        f"{S}: topic: write [[server.topic]], with two pairs of brackets.",
    ),
    ("[[server.topic]]", "[[topic]]", "topic: it stands outside of a server: write [[server.topic]]."),
    ('id = "announcements"\n', "", f"{TOPIC}: id: {ADD}"),
    ('id = "announcements"', 'identifier = "announcements"', f"{TOPIC}: identifier: {meant('id')}"),
    ('"announcements"', '"two words"', f"{TOPIC}: id: {TOPIC_ID}"),
    ('"announcements"', '""', f"{TOPIC}: id: {TOPIC_ID}"),
    ('"announcements"', r'"news\n"', f"{TOPIC}: id: {TOPIC_ID}"),
    ('"announcements"', "7", f"{TOPIC}: id: {TOPIC_ID}"),
    ('"Announcements"', '""', f"{S}: topic.1.name: {TEXT}"),
    (
        "[[server.topic]]",
        '[[server.topic]]\nid = "announcements"\nname = "Other"\n[[server.topic]]',
        f"{S}: topic “announcements” is there already, as “announcements”: rename or remove one.",
    ),
    (
        "[[server.topic]]",
        '[[server.topic]]\nid = "other"\nname = "announcements"\n[[server.topic]]',
        f"{S}: topic “announcements” is there already, as “announcements”: rename or remove one.",
    ),
    # audiences
    (
        RIGHT[RIGHT.index("[[server.audience]]") :],
        "",
        f"{S}: audience: it is missing: add [[server.audience]].",
    ),
    (
        RIGHT,
        RIGHT.replace("[[server.audience]]", "[[audience]]"),
        "audience: it stands outside of a server: write [[server.audience]].",
    ),
    (
        RIGHT,
        RIGHT.replace("[[server.audience]]", "[[server.audiences]]"),
        f"{S}: audiences: {meant('audience')}",
    ),
    ('name = "Gold"\n', "", f"{S}: audience.1.name: {ADD}"),
    ('name = "Gold"', "name = true", f"{S}: audience.1.name: {TEXT}"),
    ('"Gold"', '"all"', f"{S}: audience “All” is there already, as “all”: rename or remove one."),
    ('"Gold"', '"Ａll"', f"{S}: audience “All” is there already, as “Ａll”: rename or remove one."),
    # Another letter, space, digit or nothing at all: whoever chooses one could take it for the other.
    ('"Gold"', '"Аll"', f"{S}: audience “All” looks like “Аll”: rename or remove one."),
    ('"Gold"', '"A11"', f"{S}: audience “All” looks like “A11”: rename or remove one."),
    ('"Gold"', '"AIl"', f"{S}: audience “All” looks like “AIl”: rename or remove one."),
    ('"Gold"', '"A\u200bll"', f"{S}: audience.1.name: {unseen('A⟨U+200B⟩ll')}"),
    ('"Gold"', '"\ufe0f"', f"{S}: audience.1.name: {TEXT}"),
    ('"Gold"', '"G\u0336\u0336\u0336\u0336\u0336old"', f"{S}: audience.1.name: {unseen(PILED)}"),
    (
        "[[server.topic]]",
        '[[server.topic]]\nid = "other"\nname = "Announcernents"\n[[server.topic]]',
        f"{S}: topic “announcements” looks like “Announcernents”: rename or remove one.",
    ),
    (
        "audit = 104900000000000012",
        "audit = 104900000000000011",
        f"{S}: channels: review and audit are both 104900000000000011: name another channel for the record,"
        " in which nobody but Herald may write.",
    ),
    (
        RIGHT,
        RIGHT + RIGHT.replace("Sunrise", "Sunrisе").replace("104900000000000001", "104900000000000002"),
        "server “Sunrisе” looks like “Sunrise”: rename or remove one.",
    ),
    # links and blanks
    (
        'name = "Sunrise"\n',
        'name = "Sunrise"\nlink_hosts = ["https://whop.com"]\n',
        f"{S}: link_hosts.1: {HOST}",
    ),
    ('name = "Sunrise"\n', 'name = "Sunrise"\nlink_hosts = ["whop"]\n', f"{S}: link_hosts.1: {HOST}"),
    ('name = "Sunrise"\n', 'name = "Sunrise"\nlink_hosts = ["Whop.com"]\n', f"{S}: link_hosts.1: {HOST}"),
    ('name = "Sunrise"\n', 'name = "Sunrise"\nlink_hosts = ["a.io", "a.io"]\n', f"{S}: link_hosts: {TWICE}"),
    ("approvals = 3", "approvals = 3\nsize = -1", f"{ALL}: size: {PEOPLE}"),
    ("approvals = 3", 'approvals = 3\nsize = "many"', f"{ALL}: size: {PEOPLE}"),
    ("approvals = 2\n", "approvals = 2\nlarge_above = 1.5\n", f"{S}: rules.large_above: {PEOPLE}"),
    ("approvals = 3", "approval = 3", f"{ALL}: approval: {meant('approvals')}"),
    ("approvals = 3", "approvals = 0", f"{ALL}: approvals: {WHOLE}"),
    ("approvals = 3", 'approvals = "three"', f"{ALL}: approvals: {WHOLE}"),
    (
        "approvals = 3",
        "approvals = 1",
        f"{S}: audience “All”: approvals: 1 is laxer than the server's rules:"
        " write at least 2, or remove the line.",
    ),
    *(
        ("approvals = 2\n", f"approvals = 2\ncorrections = {value}\n", f"{S}: rules.corrections: {WHOLE}")
        for value in ("0", "21", "1.5", '"1"', "true")
    ),
    ("approvals = 3", "approvals = 3\ncorrections = 0", f"{ALL}: corrections: {WHOLE}"),
    ("approvals = 3", "correction = 3", f"{ALL}: correction: {meant('corrections')}"),
    (
        "approvals = 3",
        "approvals = 3\ncorrections = 1",
        f"{S}: audience “All”: corrections: 1 is laxer than the server's rules:"
        " write at least 2, or remove the line.",
    ),
    # templates
    (
        '[[server.audience]]\nname = "Gold"',
        f'{TEMPLATE}[[server.audience]]\nname = "Gold"'.replace('"Gold"\nto', '"Silver"\nto', 1),
        f"{S}: template “Down”: audience: there is no audience “Silver”: name one of this server.",
    ),
    (
        '[[server.audience]]\nname = "Gold"',
        f'{TEMPLATE}[[server.audience]]\nname = "Gold"'.replace('"announcements"', '"news"', 1),
        f"{S}: template “Down”: topic: there is no topic “news”: name one of this server.",
    ),
    (
        '[[server.audience]]\nname = "Gold"',
        f'{TEMPLATE}{TEMPLATE.replace("Down", "DOWN")}[[server.audience]]\nname = "Gold"',
        f"{S}: template “DOWN” is there already, as “Down”: rename or remove one.",
    ),
    (
        '[[server.audience]]\nname = "Gold"',
        f'{TEMPLATE.replace("{a}", "{a}{b}")}[[server.audience]]\nname = "Gold"',
        f"{S}, template “Down”: two blanks touch, so nobody could tell them apart: put words between them.",
    ),
    (
        '[[server.audience]]\nname = "Gold"',
        f'{TEMPLATE.replace("{a}", "{a} {b} {c} {d} {e} {f}")}[[server.audience]]\nname = "Gold"',
        f"{S}, template “Down”: it has 6 blanks, and a form takes 5: have fewer.",
    ),
    (
        '[[server.audience]]\nname = "Gold"',
        f'{TEMPLATE.replace("Sorry {a}", " ")}[[server.audience]]\nname = "Gold"',
        f"{S}, template “Down”: content: write what customers are to read, in quotes.",
    ),
    *(
        (
            '[[server.audience]]\nname = "Gold"',
            f'{TEMPLATE}[[server.template.blank]]\n{blank}\n[[server.audience]]\nname = "Gold"',
            f"{S}, template “Down”{sentence}",
        )
        for blank, sentence in (
            ('name = "a"\nchoices = []', f", blank “a”: choices: {ENTRY}"),
            ('name = "a"\nchoices = ["x", "x"]', f", blank “a”: choices: {TWICE}"),
            ('name = "a"\nchoices = ["x", "y\\nz"]', f", blank “a”: choices.2: {TEXT}"),
            ('name = "a"\nchoice = ["x"]', f", blank “a”: choice: {meant('choices')}"),
            (
                f'name = "a"\nchoices = {[str(number) for number in range(26)]}',
                ", blank “a”: choices: it has 26 choices, and a form takes 25: have fewer.",
            ),
            (
                'name = "b"\nchoices = ["x"]',
                ": blank “b”: no {b} stands in subject or content: correct the name, or remove the blank.",
            ),
        )
    ),
    *(
        (
            "[server.rules]",
            f"[server.rules]\nrepeat_window = {wrong}",
            f"{S}: rules.repeat_window: {NO_LONGER}",
        )
        for wrong in ("24", '"31d"', '"-1h"', '"a day"')
    ),
    # how often templates lend
    *(
        (
            "[server.rules]",
            f"[server.rules]\n{key} = {wrong}",
            f'{S}: rules.{key}: write how often in which time, such as "1 in 24h": 0 to 100, in "1s" to'
            ' "30d".',
        )
        for key in ("lent_by_template", "lent_to_person")
        for wrong in ("5", '"1"', '"once a day"', '"101 in 24h"', '"-1 in 24h"', '"1 in 31d"', '"1 in 0s"')
    ),
    # targets
    (
        'targets.products = ["prod_gold", "prod_old"]\n',
        "",
        f"{GOLD}: targets: it is missing: add [server.audience.targets].",
    ),
    ('targets.products = ["prod_gold", "prod_old"]', "targets = {}", f"{GOLD}: targets: {SOMEBODY}"),
    (
        'targets.products = ["prod_gold", "prod_old"]',
        'targets = "prod_gold"',
        f"{GOLD}: targets: write it as a table that begins with [server.audience.targets].",
    ),
    ("targets.products", "targets.product", f"{GOLD}: targets.product: {meant('products')}"),
    ("targets.products", "target.products", f"{GOLD}: target: {meant('targets')}"),
    ("targets.products", "products", f"{GOLD}: products: {meant('targets.products')}"),
    ('["prod_gold", "prod_old"]', "[]", f"{GOLD}: targets.products: {ENTRY}"),
    ('["prod_gold", "prod_old"]', '"prod_gold"', f"{GOLD}: targets.products: {LIST}"),
    ('"prod_old"', '"prod_gold"', f"{GOLD}: targets.products: {TWICE}"),
    ('"prod_gold"', '"exp_gold"', f"{GOLD}: targets.products.1: {begins('prod')}"),
    ('"prod_old"', '"prod_"', f"{GOLD}: targets.products.2: {begins('prod')}"),
    ('"prod_old"', '"prod_old "', f"{GOLD}: targets.products.2: {begins('prod')}"),
    ('"prod_old"', "5", f"{GOLD}: targets.products.2: {begins('prod')}"),
    ('["user_maya"]', '["Maya"]', f"{ALL}: targets.users.1: {begins('user')}"),
    ('["biz_sunrise"]', '["prod_x"]', f"{ALL}: targets.companies.1: {begins('biz')}"),
    ('["exp_chat"]', '["biz_x"]', f"{ALL}: targets.experiences.1: {begins('exp')}"),
    ('team = "biz_sunrise"', 'team = "exp_chat"', f"{ALL}: targets.team: {begins('biz')}"),
    ('team = "biz_sunrise"', 'team = ["biz_sunrise"]', f"{ALL}: targets.team: {begins('biz')}"),
    ('experience = "exp_vip", ', "", f"{ALL}: targets.users_in_experience.experience: {ADD}"),
    (
        'experience = "exp_vip"',
        'experience = ""',
        f"{ALL}: targets.users_in_experience.experience: {begins('exp')}",
    ),
    (', users = ["user_omar"]', "", f"{ALL}: targets.users_in_experience.users: {ADD}"),
    ('["user_omar"]', "[]", f"{ALL}: targets.users_in_experience.users: {ENTRY}"),
    (
        'users = ["user_omar"]',
        'user = ["user_omar"]',
        f"{ALL}: targets.users_in_experience.user: {meant('users')}",
    ),
    (
        'experience = "exp_vip"',
        'experience = "exp_chat"',
        f"{ALL}: targets: exp_chat stands in experiences too, so these users would get it twice:"
        " remove one of the two.",
    ),
    # TOML
    ('"Sunrise"', "Sunrise", "it is not valid TOML: Invalid value (at line 2, column 8): mend that line."),
    (
        "[server.rules]",
        "[server.roles]",
        "it is not valid TOML: Cannot declare ('server', 'roles') twice (at line 12, column 14):"
        " mend that line.",
    ),
]

# Words that only a library would use.
JARGON = re.compile(
    r"Input|valid (?!TOML)|literal|pydantic|Value error|NoneType|extra_|string|integer"
    r"|\b(int|str|bool|dict|tuple)\b"
)


def refusals(text: str) -> list[str]:
    with pytest.raises(ConfigurationError) as caught:
        parse_policy(text, name="herald.toml")
    return str(caught.value).splitlines()


def edited(old: str, new: str) -> str:
    assert RIGHT.count(old) == 1
    return RIGHT.replace(old, new)


ODD: list[Any] = ["", "x", 0, -1, True, 1.5, [], [[]], ["x"], {}, [{}], {"x": 1}, date(2026, 11, 23)]


def toml(value: Any) -> str:
    if isinstance(value, dict):
        table = cast("dict[str, Any]", value)
        return "{" + ", ".join(f"{key} = {toml(item)}" for key, item in table.items()) + "}"
    if isinstance(value, list):
        return f"[{', '.join(toml(item) for item in cast('list[Any]', value))}]"
    return value.isoformat() if isinstance(value, date) else json.dumps(value)


def paths(value: Any, *before: str | int) -> Iterator[tuple[str | int, ...]]:
    """Yield the way to each key and entry of RIGHT."""
    items: Iterable[tuple[str | int, Any]] = ()
    if isinstance(value, dict):
        items = cast("dict[str, Any]", value).items()
    elif isinstance(value, list):
        items = enumerate(cast("list[Any]", value))
    for key, item in items:
        yield (*before, key)
        yield from paths(item, *before, key)


def with_change(path: tuple[str | int, ...], change: Callable[[Any, Any], None]) -> str:
    """Return RIGHT after `change` was given the table or list at the end of the way, and the key in it."""
    document = tomllib.loads(RIGHT)
    change(reduce(getitem, path[:-1], cast("Any", document)), path[-1])
    return "\n".join(f"{key} = {toml(value)}" for key, value in document.items())


def misspell(table: dict[str, Any], key: str) -> None:
    table[f"{key}x"] = table.pop(key)


ALL_PATHS = list(paths(tomllib.loads(RIGHT)))
KEYS = [path for path in ALL_PATHS if isinstance(path[-1], str)]
SEVERAL_TARGETS = ("server", 0, "audience", 1, "targets")


@pytest.mark.parametrize(("old", "new", "sentence"), WRONG)
def test_a_mistake_gets_one_sentence_with_file_key_and_mend(old: str, new: str, sentence: str) -> None:
    assert refusals(edited(old, new)) == [f"herald.toml: {sentence}"]


@pytest.mark.parametrize("path", ALL_PATHS, ids=str)
def test_whatever_stands_in_a_place_is_refused_in_words_for_people(path: tuple[str | int, ...]) -> None:
    for odd in ODD:
        text = with_change(path, lambda table, key, odd=odd: setitem(table, key, odd))
        if (path[-1] in {"name", "id"} and odd == "x") or (path[-1] == "rules" and odd == {}):
            parse_policy(text, name="herald.toml")
            continue
        lines = refusals(text)
        # A table that is there but empty lacks several keys at once.
        assert len(lines) == 1 or odd in ({}, [{}], {"x": 1})
        assert all(re.fullmatch(r"herald\.toml: (.+: )+.+\.", line) for line in lines)
        assert not JARGON.search(" ".join(lines))


@pytest.mark.parametrize("path", KEYS, ids=str)
def test_a_misspelt_key_gets_one_sentence_and_is_never_passed_over(path: tuple[str | int, ...]) -> None:
    line = only(refusals(with_change(path, misspell)))
    assert f"{path[-1]}x: there is no such key (did you mean {path[-1]}?)" in line


@pytest.mark.parametrize("path", KEYS, ids=str)
def test_a_key_that_is_left_out_gets_one_sentence_or_its_documented_default(
    path: tuple[str | int, ...],
) -> None:
    text = with_change(path, lambda table, key: table.pop(key))
    if "rules" in path or path[-1] == "approvals" or path[:-1] == SEVERAL_TARGETS:
        parse_policy(text, name="herald.toml")
    else:
        assert len(refusals(text)) == 1


def test_rules_that_are_left_out_are_the_careful_ones() -> None:
    rules = parse_policy(
        edited(RIGHT[RIGHT.index("[server.rules]") : RIGHT.index("[[server.topic]]")], ""), name="x"
    )
    assert rules.servers[0].rules.model_dump() == {
        "approvals": 1,
        "corrections": None,
        "undo_window": timedelta(seconds=60),
        "review_expires": timedelta(hours=24),
        "missed_after": timedelta(minutes=15),
        "large_above": 1000,
        "size_drift": (20, 50),
        "recipients_kept": timedelta(days=30),
        "time_zone": "UTC",
        "weekly_digest": None,
        "quiet_hours": None,
        "in_quiet_hours": "refuse",
        "cool_down": timedelta(),
        "daily_cap": "none",
        "beyond": "refuse",
        "languages": ("en",),
        "repeat_window": timedelta(hours=24),
        "lent_by_template": (1, timedelta(hours=24)),
        "lent_to_person": (2, timedelta(hours=24)),
        "series_approval": (0, timedelta(days=1)),
        "preview": True,
        "require_test": "off",
    }


@pytest.mark.parametrize(
    "wrong", ["{Since when}", "{Since}", "{ since }", "{since", "since}", "{{a}}", "{}", "｛a｝", "{ä}"]
)
@pytest.mark.parametrize("part", ["subject", "content", "subtitle", "link"])
def test_a_brace_that_belongs_to_no_blank_is_refused_in_a_template(wrong: str, part: str) -> None:
    words = {"subject": "Down", "content": "Sorry {a}", part: f"Since {wrong} {{a}}"}
    lines = "".join(f'{name} = "{text}"\n' for name, text in words.items())
    text = RIGHT + f'[[server.template]]\nname = "Down"\naudience = "Gold"\ntopic = "announcements"\n{lines}'
    sentence = only(refusals(text))
    assert sentence.startswith(f"herald.toml: {S}, template “Down”: {part}: customers would read the braces")


@pytest.mark.parametrize(
    "names",
    [
        ("VIP", "VIP+"), ("C++", "C#"), ("Gold 🥇", "Gold 🥈"), ("हिन्दी", "हन्द"), ("กา", "กำ"),
        ("Café", "Cafe"),
    ],
)  # fmt: skip
def test_names_that_people_tell_apart_may_stand_side_by_side(names: tuple[str, str]) -> None:
    refuse_alike("audience", [[name] for name in names])


@pytest.mark.parametrize(
    "names",
    [
        ("Gold members", "Gold  members"), ("Gold members", "Gold\u00a0members"), ("Gold", "Gоld"),
        ("☀ Sun", "☀️ Sun"),
        ("paypal", "раураl"), ("ΑΒΓ", "АВГ"), ("Gold 0", "Gold O"), ("Modem", "Modern"), ("Gold l", "GOLD I"),
        ("Straße", "STRASSE"),
    ],
)  # fmt: skip
def test_names_that_look_alike_are_refused(names: tuple[str, str]) -> None:
    with pytest.raises(ValueError, match="rename or remove one"):
        refuse_alike("audience", [[name] for name in names])


def test_several_mistakes_get_one_sentence_each() -> None:
    text = edited("review =", "reviews =").replace("prod_gold", "gold").replace('"60s"', "60")
    assert len(refusals(text)) == 3


def test_a_misspelt_key_does_not_hide_another_that_is_missing() -> None:
    text = edited("review = 104900000000000011\naudit =", "reveiw =")
    assert refusals(text) == [
        f"herald.toml: {S}: channels.reveiw: {meant('review')}",
        f"herald.toml: {S}: channels.audit: {ADD}",
    ]


def test_a_mistake_in_the_second_of_two_servers_names_that_one() -> None:
    second = ANOTHER.replace("guild = 104900000000000001", "guild = 104900000000000002").replace(
        "exp_chat", "chat", 1
    )
    assert refusals(RIGHT + second) == [
        f"herald.toml: server “Sunset”, audience “All”: targets.experiences.1: {begins('exp')}"
    ]


def test_a_number_with_thousands_of_digits_is_refused_like_any_other_bad_line() -> None:
    line = only(refusals(edited("104900000000000001", "1" * 5000)))
    assert line.startswith("herald.toml: it is not valid TOML: ")


def test_a_byte_order_mark_from_a_windows_editor_does_no_harm(tmp_path: Path) -> None:
    file = tmp_path / "herald.toml"
    file.write_text(RIGHT, encoding="utf-8-sig")
    assert load_policy(file) == parse_policy(RIGHT, name="x")


def test_an_id_in_quotes_is_as_good_as_one_without() -> None:
    assert parse_policy(edited("104900000000000001", '"104900000000000001"'), name="x") == parse_policy(
        RIGHT, name="x"
    )


def test_an_audience_may_be_stricter_than_its_server() -> None:
    server = parse_policy(RIGHT, name="x").servers[0]
    assert (server.quorum("Gold"), server.quorum("All")) == (2, 3)


def test_a_correction_needs_what_the_policy_says_of_it_and_else_what_everything_needs() -> None:
    def quorums(rules: str, audience: str) -> tuple[int, int]:
        text = edited("approvals = 2\n", f"approvals = 2\n{rules}\n").replace(
            "approvals = 3", f"approvals = 3\n{audience}"
        )
        server = parse_policy(text, name="x").servers[0]
        assert (server.quorum("Gold"), server.quorum("All")) == (2, 3)
        return server.quorum("Gold", corrects=True), server.quorum("All", corrects=True)

    assert quorums("", "") == (2, 3)
    # An audience that is stricter by itself is loosened by nothing but its own line.
    assert quorums("corrections = 1", "") == (1, 3)
    assert quorums("corrections = 1", "corrections = 1") == (1, 1)
    assert quorums("corrections = 4", "corrections = 5") == (4, 5)
    assert quorums("", "corrections = 2") == (2, 2)


def audiences_refused(policy: Policy, generation: str) -> list[str]:
    try:
        gateway = gateway_for(generation, origin="https://sandbox-api.whop.com")
        check_policy(policy, {ACCOUNT: gateway}, file="herald.toml")
    except ConfigurationError as error:
        return str(error).splitlines()
    return []


DOWN = """
[[server.template]]
name = "Down"
audience = "Gold"
topic = "news"
subject = "{service} is **down**"
content = "Since {since}. We hope to be back on 2026-11-01."
[[server.template.blank]]
name = "service"
choices = ["The chat", "THE WHOLE SHOP"]
"""
NOW = datetime(2026, 11, 28, tzinfo=UTC)
PLACE = "herald.toml: server “Sunrise”, template “Down”: "
SLIPS = [
    "Discord's markup means nothing on a phone: **down**.",
    "A date that has passed: 2026-11-01.",
    "All capitals read like shouting: THE WHOLE SHOP.",
]


def refused_templates(policy: Policy) -> list[str]:
    return [one for one in audiences_refused(policy, "v5") if one.startswith(PLACE)]


def test_the_words_of_templates_are_looked_at_with_whatever_may_stand_in_their_blanks() -> None:
    topic = re.search(r'\[\[server.topic\]\]\nid = "(.*)"', RIGHT)
    assert topic is not None
    text = RIGHT + DOWN.replace('"news"', f'"{topic[1]}"')
    policy = parse_policy(text, name="herald.toml")
    assert refused_templates(policy) == []
    told = [
        re.sub("[\u2068\u2069]", "", one) for one in look_at_templates(policy, file="herald.toml", now=NOW)
    ]
    assert told == [PLACE + one for one in SLIPS]
    # What the policy stops could never be sent: it is told before it is needed. A day only passes.
    stops = '[server.lint]\nmarkup = "stop"\ndates = "stop"\ncapitals = "off"\n[[server.topic]]'
    strict = parse_policy(text.replace("[[server.topic]]", stops, 1), name="herald.toml")
    refused = only(refused_templates(strict))
    assert re.sub("[\u2068\u2069]", "", refused) == PLACE + SLIPS[0]
    assert len(look_at_templates(strict, file="herald.toml", now=NOW)) == 2


@pytest.mark.parametrize(
    ("generation", "target", "other"),
    [
        ("v1", 'users = ["user_maya"]', "v5"),
        ("v1", 'products = ["prod_gold"]', "v5"),
        ("v1", 'companies = ["biz_sunrise"]', "v5"),
        ("v5", 'team = "biz_sunrise"', "v1"),
        ("v5", 'users_in_experience = { experience = "exp_vip", users = ["user_omar"] }', "v1"),
    ],
)
def test_an_audience_that_the_generation_cannot_reach_ends_the_start(
    generation: str, target: str, other: str
) -> None:
    audiences = f'[[server.audience]]\nname = "Some"\ntargets.{target}\n'
    policy = parse_policy(RIGHT[: RIGHT.index("[[server.audience]]")] + audiences, name="herald.toml")
    sentence = only(audiences_refused(policy, generation))
    kind = target.partition(" ")[0]
    assert re.match(
        rf"herald\.toml: server.*audience.*targets\.{kind}: {generation} cannot reach that; use ", sentence
    )
    assert sentence.endswith(f", or WHOP_API={other}.")
    assert audiences_refused(policy, other) == []


def example(generation: str) -> Policy:
    """Return the example as its own words say to cut it for a generation."""
    head, v1, v5 = re.split(r"^# ==== .* ====$", EXAMPLE.read_text(encoding="utf-8"), flags=re.MULTILINE)
    audiences = v1 if generation == "v1" else re.sub(r"^#(?=\S)", "", v5, flags=re.MULTILINE)
    return parse_policy(head + audiences, name="herald.example.toml")


def test_the_example_is_valid_as_it_stands() -> None:
    policy = parse_policy(EXAMPLE.read_text(encoding="utf-8"), name="herald.example.toml")
    assert policy == example("v1")
    assert audiences_refused(policy, "v1") == []


@pytest.mark.parametrize("generation", ["v1", "v5"])
def test_the_example_shows_every_target_of_each_generation(generation: str) -> None:
    policy = example(generation)
    assert audiences_refused(policy, generation) == []
    assert {kind for audience in policy.servers[0].audiences for kind in audience.targets.kinds()} == {
        "v1": {"experiences", "users_in_experience", "team"},
        "v5": {"users", "products", "companies", "experiences"},
    }[generation]


def test_the_example_names_every_key_and_shows_the_defaults() -> None:
    text = EXAMPLE.read_text(encoding="utf-8")
    keys = {str(path[-1]) for path in KEYS}
    assert {key for key in keys if not re.search(rf"(^#?|[.\[]){key}\b", text, re.MULTILINE)} == set()
    assert example("v1").servers[0].rules == Rules()


@pytest.mark.parametrize(
    "warning",
    [
        r"# team: the TEAM of the company only .*and NO CUSTOMERS",
        r"reaches them as a MENTION",
        r"someone with access to both gets TWO pushes",
    ],
)
def test_the_example_warns_of_each_silent_surprise(warning: str) -> None:
    assert re.search(warning, EXAMPLE.read_text(encoding="utf-8"))
