"""The herald.toml of all tests: servers, with the rules and audiences that a test asks for."""

import json
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from bot.policy.loading import parse_policy
from bot.policy.model import Policy

GUILD: Final = 104900000000000001
OTHER_GUILD: Final = 104900000000000002
REVIEW_CHANNEL: Final = 104900000000000011
COMPOSE, APPROVE, OPERATE, AUDIT = (104900000000000021 + number for number in range(4))
ROLES: Final[Mapping[str, int]] = MappingProxyType(
    {"compose": COMPOSE, "approve": APPROVE, "operate": OPERATE, "audit": AUDIT}
)
# What the names of Whop's targets begin with.
_KINDS: Final = MappingProxyType(
    {"exp": "experiences", "prod": "products", "biz": "companies", "user": "users"}
)


def rules(
    approvals: int = 1,
    *,
    undo: str = "10s",
    expires: str = "24h",
    missed: str = "15m",
    repeats: str = "0s",
    more: str = "",
) -> str:
    """Return a server's rules; by them the same words may be approved again and again."""
    return (
        f'approvals = {approvals}\nundo_window = "{undo}"\nreview_expires = "{expires}"\n'
        f'missed_after = "{missed}"\nrepeat_window = "{repeats}"\npreview = false\n{more}'
    )


def audience(name: str, *targets: str, size: int | None = 20, more: str = "") -> str:
    """Return an audience of targets of one kind."""
    kind = _KINDS[targets[0].partition("_")[0]]
    counted = "" if size is None else f"size = {size}\n"
    return f'[[server.audience]]\nname = "{name}"\n{counted}targets.{kind} = {json.dumps(targets)}\n{more}'


ONE: Final = audience("One", "exp_gold")
TWO: Final = audience("Two", "exp_gold", "exp_silver")


def server(
    *more: str,
    name: str = "Sunrise Trading",
    guild: int = GUILD,
    review: int = REVIEW_CHANNEL,
    roles: Mapping[str, int] = ROLES,
    rules: str = rules(),
    topic: str = "news",
    whop: str | None = None,
) -> str:
    """Return a server's part; what it has more of, such as audiences, follows at its end."""
    held = "\n".join(f"{action} = [{role}]" for action, role in roles.items())
    return "\n".join(
        [
            f'[[server]]\nname = "{name}"\nguild = {guild}' + (f'\nwhop = "{whop}"' if whop else ""),
            f"channels = {{ review = {review}, audit = {review + 1} }}",
            f"[server.roles]\n{held}\n[server.rules]\n{rules}",
            f'[[server.topic]]\nid = "{topic}"\nname = "{topic.title()}"\n',
            *more,
        ]
    )


POLICY: Final = server(ONE, TWO) + server(
    ONE,
    name="Moonlight",
    guild=OTHER_GUILD,
    review=REVIEW_CHANNEL + 2,
    rules='repeat_window = "0s"\npreview = false\n',
)


def account(name: str, api: str, key: str, *, origin: str | None = None) -> str:
    """Return a table of an account, whose key the variable holds."""
    where = f'base_url = "{origin}"\n' if origin else ""
    return f'[[whop]]\nname = "{name}"\napi = "{api}"\nkey = "{key}"\n{where}'


def of_generation(text: str, generation: str) -> str:
    """Return the policy with targets that the API generation can reach."""
    return (
        text if generation == "v1" else text.replace("experiences = ", "products = ").replace("exp_", "prod_")
    )


def parsed(text: str = POLICY) -> Policy:
    """Return what Herald reads in it."""
    return parse_policy(text, name="herald.toml")
