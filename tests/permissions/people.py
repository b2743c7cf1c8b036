"""The columns of the table: everyone who could want something of one broadcast."""

from collections.abc import Mapping
from datetime import timedelta
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from bot.permissions import Actor
from bot.policy.model import ACCOUNT
from tests.harness.clock import NOW
from tests.harness.policy import GUILD, OTHER_GUILD, account, audience, rules, server
from tests.harness.policy import ROLES as EVERYDAY_ROLES

# Discord's ids are long, and the policy takes no others.
_BASE: Final = 104900000000000000
ORIGIN: Final = "https://sandbox-api.whop.com"
UNNAMED_GUILD: Final = _BASE + 3
ACCOUNT_GUILD: Final = _BASE + 4
AUDIENCE: Final = "Gold members"
OTHER_AUDIENCE: Final = "Silver members"

ROLES: Final[Mapping[str, int]] = MappingProxyType({**EVERYDAY_ROLES, "lists": _BASE + 25})
# No role means anything in another server.
OTHER_ROLES: Final[Mapping[str, int]] = MappingProxyType(
    {
        "compose": _BASE + 31,
        "approve": _BASE + 32,
        "operate": _BASE + 33,
        "audit": _BASE + 34,
        "lists": _BASE + 35,
    }
)
ACCOUNT_ROLES: Final[Mapping[str, int]] = MappingProxyType(
    {
        "compose": _BASE + 41,
        "approve": _BASE + 42,
        "operate": _BASE + 43,
        "audit": _BASE + 44,
        "lists": _BASE + 45,
    }
)
# The account by which the first two servers send, and that of the third.
KEYS: Final[Mapping[str, str]] = MappingProxyType({ACCOUNT: "WHOP_KEY", "star": "WHOP_KEY_STAR"})


class Who(StrEnum):
    """Someone who asks; the value is how the document calls them."""

    AUTHOR = "the author"
    AUTHOR_WITH_ALL = "the author, holding every role"
    AUTHOR_WITHOUT = "the author, all roles lost since"
    EDITOR = "an editor, holding every role"
    SHARED = "whom it is shared with, holding every role"
    COMPOSER = "a composer"
    APPROVER = "an approver"
    GAINED = "an approver since after it was submitted"
    OPERATOR = "an operator"
    AUDITOR = "an auditor"
    LOST = "a former approver, who approved it and lost the role since"
    ADMINISTRATOR = "an administrator of the Discord server without a role"
    OWNER = "the owner of the bot and of the Discord server without a role"
    STRANGER = "a member without a role"
    AUTHOR_TIMED_OUT = "the author, holding every role, in Discord's time-out"
    TIMED_OUT = "an approver and operator, holding every role, in Discord's time-out"
    ELSEWHERE = "a member of another server, holding every role there"
    OTHER_ACCOUNT = "a member of a server of another Whop account, holding every role there"
    UNNAMED = "a member of a server that the policy does not name"
    BOT = "a bot, holding every role"
    DIRECT = "the author, in a direct message"


def _person(
    number: int,
    name: str,
    *roles: str,
    guild: int | None = GUILD,
    of: Mapping[str, int] = ROLES,
    bot: bool = False,
    timed_out: bool = False,
) -> Actor:
    held = frozenset(of[role] for role in roles)
    until = NOW + timedelta(hours=1) if timed_out else None
    return Actor(
        id=_BASE + 100 + number, name=name, guild_id=guild, roles=held, bot=bot, timed_out_until=until
    )


_ALL: Final = ("compose", "approve", "operate", "audit", "lists")

PEOPLE: Final[Mapping[Who, Actor]] = MappingProxyType(
    {
        Who.AUTHOR: _person(1, "Maya", "compose"),
        Who.AUTHOR_WITH_ALL: _person(1, "Maya", *_ALL),
        Who.AUTHOR_WITHOUT: _person(1, "Maya"),
        Who.EDITOR: _person(2, "Edgar", *_ALL),
        Who.SHARED: _person(18, "Sara", *_ALL),
        Who.COMPOSER: _person(3, "Cleo", "compose"),
        Who.APPROVER: _person(4, "Omar", "approve"),
        Who.GAINED: _person(5, "Gwen", "approve"),
        Who.OPERATOR: _person(6, "Lena", "operate"),
        Who.AUDITOR: _person(7, "Ada", "audit"),
        Who.LOST: _person(8, "Fritz"),
        Who.ADMINISTRATOR: _person(9, "Adam"),
        Who.OWNER: _person(10, "Olga"),
        Who.STRANGER: _person(11, "Sam"),
        Who.AUTHOR_TIMED_OUT: _person(1, "Maya", *_ALL, timed_out=True),
        Who.TIMED_OUT: _person(16, "Tom", *_ALL, timed_out=True),
        Who.ELSEWHERE: _person(12, "Elsa", *_ALL, guild=OTHER_GUILD, of=OTHER_ROLES),
        Who.OTHER_ACCOUNT: _person(17, "Otto", *_ALL, guild=ACCOUNT_GUILD, of=ACCOUNT_ROLES),
        Who.UNNAMED: _person(13, "Una", *_ALL, guild=UNNAMED_GUILD),
        Who.BOT: _person(14, "Robot", *_ALL, bot=True),
        Who.DIRECT: _person(1, "Maya", guild=None),
    }
)
# Takes part in how it came to where it stands, and asks for nothing.
# Nothing of Discord's own powers reaches the core, which cannot tell these from a member without a role: they
# are tried in Discord.
POWERFUL: Final = (Who.ADMINISTRATOR, Who.OWNER)
KIM: Final = _person(15, "Kim", *_ALL)
# The same people as they were before the table begins.
LOST_BEFORE: Final = _person(8, "Fritz", "approve")
GAINED_BEFORE: Final = _person(5, "Gwen")


_TEMPLATE: Final = f"""\
[[server.template]]
name = "We are down"
audience = "{AUDIENCE}"
topic = "news"
subject = "We are down"
content = "Since {{since}}"
"""


_LISTS: Final = '[server.lists]\nexperience = "exp_gold"\n'
_PARTS: Final = (
    _LISTS,
    _TEMPLATE,
    audience(AUDIENCE, "exp_gold"),
    audience(OTHER_AUDIENCE, "exp_silver"),
)
POLICY: Final = "".join(
    [
        *(account(name, "v1", key, origin=ORIGIN) for name, key in KEYS.items()),
        server(*_PARTS, guild=GUILD, roles=ROLES, rules=rules(2), whop=ACCOUNT),
        server(
            *_PARTS,
            name="Moonlight",
            guild=OTHER_GUILD,
            roles=OTHER_ROLES,
            review=_BASE + 13,
            rules=rules(2),
            whop=ACCOUNT,
        ),
        server(
            *_PARTS,
            name="Starlight",
            guild=ACCOUNT_GUILD,
            roles=ACCOUNT_ROLES,
            review=_BASE + 15,
            rules=rules(2),
            whop="star",
        ),
    ]
)
