"""The sandbox: a whole Herald with a simulated Discord and a simulated Whop, on this machine alone."""

from bot.sandbox.play import play_story
from bot.sandbox.serve import serve

__all__ = ["play_story", "serve"]
