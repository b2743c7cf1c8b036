"""The `herald` command with Discord at another address, which no setting changes.

It is called as `python -m tests.harness.discord.run ORIGIN CONSTANTS ARGUMENTS…`: the constants are a mapping
in JSON, from a dotted place to a value.
"""

import importlib
import json
import sys
from typing import Any

import discord.gateway
import discord.http
import yarl


def addresses(origin: str) -> dict[str, Any]:
    """Return what says in discord.py where Discord is, and what has to stand there."""
    return {
        "discord.http.Route.BASE": f"{origin}/api/v10",
        "discord.gateway.DiscordWebSocket.DEFAULT_GATEWAY": yarl.URL(
            f"{origin.replace('http', 'ws', 1)}/gateway"
        ),
    }


def redirect(origin: str) -> None:
    """Let discord.py look for Discord there, for the rest of this process."""
    known = addresses(origin)
    discord.http.Route.BASE = known["discord.http.Route.BASE"]
    discord.gateway.DiscordWebSocket.DEFAULT_GATEWAY = known[
        "discord.gateway.DiscordWebSocket.DEFAULT_GATEWAY"
    ]


def main() -> None:
    """Run the command with the constants replaced."""
    origin, constants, *arguments = sys.argv[1:]
    redirect(origin)
    for place, value in json.loads(constants).items():
        module, _, name = place.rpartition(".")
        setattr(importlib.import_module(module), name, value)
    sys.argv = ["herald", *arguments]
    importlib.import_module("bot.cli.commands").main()


if __name__ == "__main__":
    main()
