"""An account: one Whop credential, what is sent by it, and where to; its key is the transport's alone."""

import hashlib
from dataclasses import dataclass
from typing import Self

from pydantic import SecretStr

from bot.origin import environment_of
from bot.policy.model import ACCOUNT
from bot.whop.gateway import WhopGateway


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """One Whop credential: its adapter, its address, and a digest that tells its key from others."""

    name: str
    gateway: WhopGateway
    origin: str
    digest: str

    @classmethod
    def of(cls, gateway: WhopGateway, *, origin: str, api_key: SecretStr, name: str = ACCOUNT) -> Self:
        """Return the account by whose key the gateway's requests are sent."""
        whole = "\n".join((gateway.generation, origin, api_key.get_secret_value()))
        digest = hashlib.sha256(whole.encode()).hexdigest()[:32]
        return cls(name=name, gateway=gateway, origin=origin, digest=digest)

    @property
    def version_date(self) -> str | None:
        """Return the version to which its idempotency keys are bound, or None if there are no keys."""
        return self.gateway.version_date

    @property
    def environment(self) -> str:
        """Return the words that tell people where a send would go, and by which account if it has a name."""
        place = environment_of(self.origin)
        return place if self.name == ACCOUNT else f"{place}, account {self.name}"
