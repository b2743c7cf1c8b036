"""Believable customers for the sandbox's audiences."""

from typing import Final

from bot.sandbox.whop import Owners, People

# The moderators of the sandbox are customers too: what they test, they get.
_TEAM: Final = {f"user_{name}": name for name in ("maya", "omar", "lena", "ada", "sam")}


def customers() -> People:
    """Return 420 people with Gold and 11,700 with Silver, of whom 120 have both; and the team of five."""
    return People(
        products={
            "prod_gold": Owners(named=[*_TEAM][:3], crowd=range(417), nameless_every=200),
            "prod_silver": Owners(crowd=range(297, 11_997)),
        },
        experiences={"exp_gold": ["prod_gold"], "exp_silver": ["prod_silver"]},
        team=[*_TEAM],
        usernames=dict(_TEAM),
        names={
            "exp_gold": "Gold Lounge",
            "exp_silver": "Silver Lounge",
            "prod_gold": "Sunrise Gold",
            "prod_silver": "Sunrise Silver",
        },
    )
