"""Whop: two API generations behind one gateway protocol; `transport` alone sends bytes."""

from bot.whop.account import Account
from bot.whop.gateway import Form, Probe, WhopGateway
from bot.whop.v1 import V1
from bot.whop.v5 import V5

__all__ = ["V1", "V5", "Account", "Form", "Probe", "WhopGateway", "gateway_for"]


def gateway_for(generation: str, *, origin: str) -> WhopGateway:
    """Return the adapter that the setting WHOP_API names."""
    return {"v1": V1, "v5": V5}[generation](origin)
