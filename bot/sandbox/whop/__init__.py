"""A simulated Whop on loopback: both API generations, their faults, and what customers see."""

from bot.sandbox.whop.people import Owners, People
from bot.sandbox.whop.record import Exchange, Fault, Push, ReadFault
from bot.sandbox.whop.server import SimulatedWhop

__all__ = ["Exchange", "Fault", "Owners", "People", "Push", "ReadFault", "SimulatedWhop"]
