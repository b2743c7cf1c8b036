"""A server: its roles, its channels with their messages, and its members."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from bot.permissions import Actor

# Names are written in Discord's own words.
USER: Final[Mapping[str, Any]] = {
    "id": "104900000000000009", "username": "Herald", "discriminator": "0", "avatar": None, "bot": True,
}  # fmt: skip
APPLICATION: Final[Mapping[str, Any]] = {
    "id": "104900000000000009", "name": "Herald", "description": "", "icon": None, "verify_key": "",
    "bot_public": False, "bot_require_code_grant": False, "owner": dict(USER), "flags": 0,
}  # fmt: skip
# View Channel, Send Messages, Embed Links, Attach Files and Read Message History.
ALLOWED: Final = 117760


@dataclass(slots=True)
class Channel:
    """A text channel; `allowed` is what Herald may do there."""

    id: int
    name: str
    guild_id: int
    messages: dict[int, dict[str, Any]] = field(default_factory=dict[int, dict[str, Any]])
    allowed: int = ALLOWED

    def payload(self) -> dict[str, Any]:
        """Return it in Discord's words."""
        overwrites = [{"id": USER["id"], "type": 1, "allow": "0", "deny": str(ALLOWED & ~self.allowed)}]
        return {
            "id": str(self.id), "name": self.name, "type": 0, "position": 0, "guild_id": str(self.guild_id),
            "permission_overwrites": overwrites if self.allowed != ALLOWED else [],
        }  # fmt: skip


@dataclass(slots=True)
class Guild:
    """A server that Herald is in, which may be unavailable."""

    id: int
    name: str
    channels: dict[int, Channel]
    roles: tuple[int, ...]
    members: dict[int, Actor]
    available: bool = True
    # As for a bot without the Server Members Intent, unless a test switches it on.
    lists_members: bool = False
    mentionable: bool = False
    commands: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])

    @classmethod
    def of(cls, server: Any, people: Iterable[Actor], *, more: Mapping[str, int]) -> "Guild":
        """Return the server that a policy describes, with its people and more channels."""
        named = {"review": server.channels.review, "audit": server.channels.audit, **more}
        return cls(
            id=server.guild,
            name=server.name,
            channels={number: Channel(number, name, server.guild) for name, number in named.items()},
            roles=tuple(sorted({role for _, roles in server.roles for role in roles})),
            members={one.id: one for one in people if one.guild_id == server.guild},
        )

    def payload(self) -> dict[str, Any]:
        """Return it as REST tells of it."""
        look = {"position": 0, "color": 0, "hoist": False, "managed": False, "mentionable": self.mentionable}
        roles = [{"id": str(role), "name": f"Role {role}", "permissions": str(ALLOWED), **look}
                 for role in (self.id, *self.roles)]  # fmt: skip
        return {"id": str(self.id), "name": self.name, "roles": roles, "owner_id": str(self.id + 1)}

    def created(self) -> dict[str, Any]:
        """Return it as GUILD_CREATE tells of it."""
        return self.payload() | {
            "unavailable": False,
            "channels": [channel.payload() for channel in self.channels.values()],
            "members": [self.herald()],
            "member_count": len(self.members) + 1,
            "threads": [],
        }

    def herald(self) -> dict[str, Any]:
        """Return Herald as a member."""
        return {"user": dict(USER), "roles": [], "joined_at": None, "deaf": False, "mute": False, "flags": 0}

    def member(self, user_id: int) -> dict[str, Any] | None:
        """Return a member, or None if there is none."""
        if user_id == int(USER["id"]):
            return self.herald()
        person = self.members.get(user_id)
        return None if person is None else self.herald() | {
            "user": user_payload(person), "roles": [str(role) for role in sorted(person.roles)],
        }  # fmt: skip


def user_payload(person: Actor) -> dict[str, Any]:
    """Return somebody in Discord's words."""
    return {
        "id": str(person.id), "username": person.name.lower(), "global_name": person.name,
        "discriminator": "0", "avatar": None, "bot": person.bot,
    }  # fmt: skip
