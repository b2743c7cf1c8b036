"""Whom a broadcast is for, how many people that is, and what that asks of approvers. Pure."""

from bot.broadcast import Broadcast
from bot.counted import Counted
from bot.policy.audience import Audience, Listed
from bot.policy.model import Server
from bot.sentences import people


def audience_of(server: Server, broadcast: Broadcast) -> Audience | None:
    """Return whom a broadcast is for, by the policy of now; None if the policy no longer has it."""
    if broadcast.listed is not None:
        return server.audience_of_list(broadcast.audience, broadcast.listed)
    return server.audience(broadcast.audience)


def refuse_list(server: Server, listed: Listed | None) -> str:
    """Return what the list of a broadcast still lacks, or nothing."""
    if listed is None:
        return ""
    if not listed.people:
        return "Nobody has confirmed yet to whom of its list it goes."
    if listed.experience != server.lists.experience:
        return "The policy reaches the people of lists in another experience by now: give its list again."
    return ""


def reach_of(server: Server, broadcast: Broadcast) -> int | None:
    """Return how many people it reaches at most: as counted, or as the owner states; None if nobody knows."""
    return known_reach(audience_of(server, broadcast), broadcast.counted)


def known_reach(audience: Audience | None, counted: Counted | None) -> int | None:
    """Return how many people an audience has at most, as far as anybody knows."""
    if audience is None:
        return None
    # Whoever is named one by one is counted by that.
    if audience.is_named_one_by_one or counted is None or counted.people is None:
        return audience.bound()
    return counted.people


def is_large(server: Server, broadcast: Broadcast) -> bool:
    """Tell whether whoever approves it has to type the audience's name: also if nobody knows its size.

    Of people whom somebody brought along nobody else has heard before: such a list counts as large.
    """
    if broadcast.listed is not None:
        return True
    reach = reach_of(server, broadcast)
    return reach is None or reach > server.rules.large_above


def size_of(audience: Audience | None, counted: Counted | None) -> str:
    """Say how many people an audience has, as far as anybody knows; what the owner states is about right."""
    reach = known_reach(audience, counted)
    if reach is None:
        return "of unknown size"
    is_exact = audience is not None and (audience.is_named_one_by_one or is_counted(audience, counted))
    return f"up to {people(reach)}" if is_exact else f"up to about {people(reach)}"


def is_counted(audience: Audience | None, counted: Counted | None) -> bool:
    """Tell whether what is known of its size is what Whop told, and not what the owner states."""
    named = audience is not None and audience.is_named_one_by_one
    return not named and counted is not None and counted.people is not None


def size_in_short(audience: Audience, counted: Counted | None = None) -> str:
    """Say how many people an audience has, in a word or two."""
    reach = known_reach(audience, counted)
    return "size unknown" if reach is None else f"about {reach:,}"


def rule_in_short(server: Server, audience: Audience, counted: Counted | None = None) -> str:
    """Say what a broadcast to an audience takes, in a word or two."""
    needed = server.quorum_of(audience)
    reach = known_reach(audience, counted)
    named = ", name typed" if reach is None or reach > server.rules.large_above else ""
    return f"{needed} approval{'s' if needed > 1 else ''}{named}"
