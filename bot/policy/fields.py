"""What may stand in a field of herald.toml, and the sentence that says so."""

import re
import unicodedata
from collections.abc import Sequence
from datetime import time, timedelta
from typing import Annotated, Final, Literal, NamedTuple, TypeVar, cast

from pydantic import AfterValidator, BeforeValidator

from bot.characters import is_blank, reveal
from bot.counted import Drift
from bot.frequency import WhenBeyond
from bot.link import is_host
from bot.moments import LANGUAGES
from bot.origin import read_origin
from bot.quiet import Hours, InQuietHours
from bot.weekly import Weekly, read_weekly
from bot.zones import named, near

_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
# Discord takes at most so many characters of a choice.
NAME_LIMIT: Final = 100
_HOURS: Final = re.compile(
    r"([01]?[0-9]|2[0-3]):([0-5][0-9])\s+to\s+([01]?[0-9]|2[0-3]):([0-5][0-9])", re.ASCII
)
# An audience without quiet hours, in a server that has some.
NEVER: Final = "never"
# What has no cap, in a server that has one.
UNCAPPED: Final = "none"
# Secrets that are nothing to Whop.
_NO_KEYS: Final = frozenset({"DISCORD_TOKEN", "DATABASE_URL"})
T = TypeVar("T")


def _snowflake(value: object) -> object:
    # Discord's own “Copy ID” gives digits; people paste them with or without quotes.
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 20:
        value = int(value)
    if not isinstance(value, int) or not 2**22 < value < 2**63:
        raise ValueError(
            "write a Discord id, the long number that “Copy ID” gives, such as 104900000000000000"
        )
    return value


def _span(text: object) -> timedelta | None:
    match = re.fullmatch(r"([0-9]{1,6})\s*([smhd])", text) if isinstance(text, str) else None
    return timedelta(**{_UNITS[match[2]]: int(match[1])}) if match else None


def duration(least: str, most: str) -> BeforeValidator:
    """Return what takes a duration between the two, such as "15m", and refuses all else."""
    low, high = _span(least), _span(most)

    def check(value: object) -> object:
        span = value if isinstance(value, timedelta) else _span(value)
        if span is None or low is None or high is None or not low <= span <= high:
            raise ValueError(
                f'write a duration from "{least}" to "{most}", such as "60s", "15m", "24h" or "7d"'
            )
        return span

    return BeforeValidator(check)


class Allowance(NamedTuple):
    """How often something may be done in any such time."""

    uses: int
    within: timedelta


def allowance(most_uses: int, least: str, most: str) -> BeforeValidator:
    """Return what takes a number in a duration between the two, such as "1 in 24h", and refuses all else."""
    low, high = _span(least), _span(most)

    def check(value: object) -> object:
        if isinstance(value, Allowance):
            return value
        uses, _, within = value.partition(" in ") if isinstance(value, str) else ("", "", "")
        span = _span(within.strip())
        if (
            not re.fullmatch(r"[0-9]{1,3}", uses.strip())
            or int(uses) > most_uses
            or span is None
            or low is None
            or high is None
            or not low <= span <= high
        ):
            raise ValueError(
                'write how often in which time, such as "1 in 24h":'
                f' 0 to {most_uses}, in "{least}" to "{most}"'
            )
        return Allowance(int(uses), span)

    return BeforeValidator(check)


def _whole(least: int, most: int) -> BeforeValidator:
    def check(value: object) -> object:
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            raise ValueError(f"write a whole number from {least} to {most}, without quotes")
        return value

    return BeforeValidator(check)


def read_name(value: object) -> object:
    """Return a name without spaces around it; raise ValueError if it is none."""
    text = value.strip() if isinstance(value, str) else ""
    # Discord counts some emoji as two.
    units = len(text.encode("utf-16-le", "surrogatepass")) // 2
    is_line = not any(unicodedata.category(ch) in {"Cc", "Zl", "Zp"} for ch in text)
    if not 0 < units <= NAME_LIMIT or is_blank(text) or not is_line:
        raise ValueError(f"write 1 to {NAME_LIMIT} characters in quotes, on one line")
    if (shown := reveal(text)) != text:
        raise ValueError(f"there is what nobody would see, or tell apart, in “{shown}”: type the name anew")
    return text


def _topic_id(value: object) -> object:
    if not isinstance(value, str) or not re.fullmatch(r"[A-Za-z0-9._-]{1,100}", value):
        raise ValueError("write 1 to 100 letters, digits, dots, dashes or underscores, in quotes")
    return value


def _whop_id(prefix: str) -> BeforeValidator:
    def check(value: object) -> object:
        if not isinstance(value, str) or not re.fullmatch(prefix + r"_[A-Za-z0-9]{1,55}", value):
            raise ValueError(f"write a Whop id that begins with {prefix}_, in quotes")
        return value

    return BeforeValidator(check)


def _account_name(value: object) -> object:
    if not isinstance(value, str) or not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,31}", value):
        raise ValueError("write 1 to 32 letters, digits, dots, dashes or underscores, in quotes")
    return value


def _variable(value: object) -> object:
    # What looks otherwise may be a key itself: it is not repeated.
    if not isinstance(value, str) or not re.fullmatch(r"[A-Z][A-Z0-9]*(_[A-Z0-9]+)+", value):
        raise ValueError(
            "write the name of the variable that holds the key, such as WHOP_KEY_GOLD, in quotes and capital"
            " letters; the key itself belongs in .env, and one that stood here should be replaced"
        )
    if value in _NO_KEYS:
        raise ValueError(
            f"{value} is another setting, and no API key of Whop's: name the variable that holds one"
        )
    return value


def _generation(value: object) -> object:
    if value not in ("v1", "v5"):
        raise ValueError(
            'write "v1" (what Whop documents today) or "v5" (the older app API); there is no default'
        )
    return value


def _origin(value: object) -> object:
    if not isinstance(value, str):
        # The loading makes a sentence of that kind alone.
        raise ValueError("write https:// and the host, in quotes, such as https://api.whop.com")  # noqa: TRY004
    return read_origin(value)


def _words(value: object) -> object:
    if not isinstance(value, str) or is_blank(value):
        raise ValueError("write what customers are to read, in quotes")
    return value


def _host(value: object) -> object:
    if not isinstance(value, str) or not is_host(value):
        raise ValueError('write the name of a host in small letters and quotes, such as "whop.com"')
    return value


def _severity(value: object) -> object:
    # What is no text may have no hash.
    if value not in ("off", "warn", "stop"):
        raise ValueError('write "off", "warn" or "stop", in quotes')
    return value


def _hours(value: object) -> object:
    if isinstance(value, Hours):
        return value
    match = _HOURS.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise ValueError('write two times of day, such as "22:00 to 08:00"')
    begin, end = time(int(match[1]), int(match[2])), time(int(match[3]), int(match[4]))
    if begin == end:
        raise ValueError(
            "it begins and ends at the same time, so nobody could tell whether it is all day or never: write"
            ' two times, such as "22:00 to 08:00", or remove the line'
        )
    return Hours(begin, end)


def _own_hours(value: object) -> object:
    try:
        return value if value == NEVER else _hours(value)
    except ValueError as error:
        raise ValueError(f'{error}; or "{NEVER}"') from None


def _in_quiet_hours(value: object) -> object:
    # What is no text may have no hash.
    if value not in ("refuse", "shift", "approval"):
        raise ValueError('write "refuse", "shift" or "approval", in quotes')
    return value


def _reach(value: object) -> object:
    # What is no text may have no hash.
    if value not in ("everyone", "once"):
        raise ValueError(
            'write "everyone" (a request for each target, and no list of people) or "once" (everybody is'
            " named, and gets it once), in quotes"
        )
    return value


def _drift(value: object) -> object:
    if isinstance(value, Drift):
        return value
    match = re.fullmatch(r"([0-9]{1,3}) ?% and ([0-9]{1,7})", value) if isinstance(value, str) else None
    if match is None or int(match[1]) > 100:
        raise ValueError('write by how much, and by how many people, such as "20% and 50"; at most 100%')
    return Drift(int(match[1]), int(match[2]))


def _daily_cap(value: object) -> object:
    is_number = isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= 1000
    if value != UNCAPPED and not is_number:
        raise ValueError(f'write a whole number from 1 to 1000, without quotes, or "{UNCAPPED}"')
    return value


def _beyond(value: object) -> object:
    # What is no text may have no hash.
    if value not in ("refuse", "approval"):
        raise ValueError('write "refuse" or "approval", in quotes')
    return value


def _who_tests(value: object) -> object:
    if value not in ("off", "author", "approver"):
        raise ValueError('write "off", "author" or "approver", in quotes')
    return value


def _weekly(value: object) -> object:
    return value if isinstance(value, Weekly) else read_weekly(value)


def _zone(value: object) -> object:
    found = named(value) if isinstance(value, str) else None
    if found is None:
        meant = near(value, limit=3) if isinstance(value, str) else []
        names = " or ".join(f'"{one}"' for one in meant or ["Europe/Berlin"])
        raise ValueError(f"write the IANA name of a time zone, in quotes, such as {names}")
    return found


def _language(value: object) -> object:
    if value not in LANGUAGES:
        known = ", ".join(f'"{one}"' for one in LANGUAGES)
        raise ValueError(f"write a language in which Herald reads times: {known}")
    return value


def _some(values: tuple[T, ...]) -> tuple[T, ...]:
    if not values:
        raise ValueError("write at least one entry")
    return values


def distinct(values: tuple[T, ...]) -> tuple[T, ...]:
    """Return the values; raise ValueError if one is there twice."""
    if len(set(values)) != len(values):
        raise ValueError("the same value stands in it twice: remove one")
    return values


def _mentions(value: object) -> object:
    if isinstance(value, bool):
        return value
    if not isinstance(value, list | tuple) or not value:
        raise ValueError("write true, false or a list of role ids")
    return tuple(_snowflake(one) for one in cast("Sequence[object]", value))


Snowflake = Annotated[int, BeforeValidator(_snowflake)]
Approvals = Annotated[int, _whole(1, 20)]
People = Annotated[int, _whole(0, 1_000_000_000)]
Name = Annotated[str, BeforeValidator(read_name)]
UserId = Annotated[str, _whop_id("user")]
ProductId = Annotated[str, _whop_id("prod")]
CompanyId = Annotated[str, _whop_id("biz")]
ExperienceId = Annotated[str, _whop_id("exp")]

AccountName = Annotated[str, BeforeValidator(_account_name)]
Variable = Annotated[str, BeforeValidator(_variable)]
Generation = Annotated[Literal["v1", "v5"], BeforeValidator(_generation)]
Origin = Annotated[str, BeforeValidator(_origin)]
TopicId = Annotated[str, BeforeValidator(_topic_id)]
Words = Annotated[str, BeforeValidator(_words)]

Severity = Literal["off", "warn", "stop"]
Judged = Annotated[Severity, BeforeValidator(_severity)]
Host = Annotated[str, BeforeValidator(_host)]

Tables = Annotated[tuple[T, ...], AfterValidator(_some)]
Reach = Annotated[Literal["everyone", "once"], BeforeValidator(_reach)]
SizeDrift = Annotated[Drift, BeforeValidator(_drift)]
QuietSpan = Annotated[Hours, BeforeValidator(_hours)]
OwnQuietSpan = Annotated[Hours | Literal["never"], BeforeValidator(_own_hours)]
WhoTests = Annotated[Literal["off", "author", "approver"], BeforeValidator(_who_tests)]
WhenQuiet = Annotated[InQuietHours, BeforeValidator(_in_quiet_hours)]
CoolDown = Annotated[timedelta, duration("0s", "30d")]
DailyCap = Annotated[int | Literal["none"], BeforeValidator(_daily_cap)]
Beyond = Annotated[WhenBeyond, BeforeValidator(_beyond)]
WeeklyTime = Annotated[Weekly | None, BeforeValidator(_weekly)]
ZoneName = Annotated[str, BeforeValidator(_zone)]
Several = Annotated[Tables[T], AfterValidator(distinct)]
Languages = Several[Annotated[str, BeforeValidator(_language)]]
Roles = Several[Snowflake]
# True for those whose turn it is, false for nobody.
Mentions = Annotated[bool | tuple[int, ...], BeforeValidator(_mentions)]
