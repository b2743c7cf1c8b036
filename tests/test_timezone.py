"""Everyone's times are read by the clocks that they choose, or else by those of their server."""

import pytest

from bot.errors import NotReady
from bot.sandbox.sandbox import Sandbox, answer
from bot.service.time_zones import Clocks, zone_of
from bot.store import Store
from tests.conftest import OpenSandbox
from tests.harness.found import only
from tests.test_permissions_in_discord import record

TOKYO, LISBON = "Asia/Tokyo", "Europe/Lisbon"


async def asked(sandbox: Sandbox, name: str = "Maya", **options: str) -> str:
    someone, channel = sandbox.person(name), sandbox.channel("moderators")
    return answer(await someone.slash(channel, "notify timezone", **options))


async def offered(sandbox: Sandbox, typed: str) -> list[str]:
    maya, channel = sandbox.person("Maya"), sandbox.channel("moderators")
    return [str(one["value"]) for one in await maya.autocomplete(channel, "notify timezone", "zone", typed)]


async def test_everyone_sets_their_own_zone_for_this_server_and_it_stays(sandbox: Sandbox) -> None:
    shown = await asked(sandbox)
    assert "this server's, until you set your own" in shown
    assert f"**UTC**, where it is {sandbox.herald.service.gate.clock():%H:%M} now" in shown
    written = len(await record(sandbox))

    assert f"**{TOKYO}**, where it is" in await asked(sandbox, zone="asia/tokyo")
    assert f"**{TOKYO}**" in await asked(sandbox, zone=f"{TOKYO} · 18:04")
    assert "**UTC**" in await asked(sandbox, "Omar")
    entry = only((await record(sandbox))[written:])
    assert (entry.actor.name, entry.action) == ("Maya", "timezone")
    assert entry.detail == f"{TOKYO}; before it was UTC"

    await sandbox.restart()
    assert f"**{TOKYO}**" in await asked(sandbox)
    # What Discord says of them later changes nothing about it.
    await sandbox.compose()
    assert f"**{TOKYO}**" in await asked(sandbox)
    assert "**UTC**" in await asked(sandbox, zone="server")
    assert (await record(sandbox))[-1].detail == f"UTC, as for everybody of the server; before it was {TOKYO}"


async def test_a_zone_that_is_unknown_names_near_ones_and_changes_nothing(v5: Sandbox) -> None:
    await asked(v5, zone=LISBON)
    for typed, told in {
        "Europe/Lisboa": f"There is no time zone “Europe/Lisboa”: did you mean {LISBON}",
        "PST": "did you mean America/Los\\_Angeles or Asia/Manila",
        "xyzzy": "There is no time zone “xyzzy”: name a city near you",
        "*@everyone*": "name a city near you",
    }.items():
        said = (await asked(v5, zone=typed)).replace("\u2068", "").replace("\u2069", "")
        assert told in said, typed
    assert LISBON in await asked(v5)
    assert (await record(v5))[-1].action == "refused timezone"
    with pytest.raises(NotReady):
        await v5.herald.service.set_zone(v5.actor("Maya"), "EST")


async def test_zones_are_offered_while_somebody_types(v5: Sandbox) -> None:
    assert (await offered(v5, ""))[:2] == ["server", "America/New_York"]
    assert await offered(v5, "berl") == ["Europe/Berlin"]
    assert (await offered(v5, "CET"))[0] == "Europe/Berlin"
    assert len(await offered(v5, "america")) == 25
    assert await offered(v5, "") == await offered(v5, " · 18:04")


async def test_the_server_names_its_zone_and_who_is_unknown_has_it(open_sandbox: OpenSandbox) -> None:
    def in_lisbon(policy: str) -> str:
        return policy.replace("[server.rules]\n", f'[server.rules]\ntime_zone = "{LISBON}"\n')

    async with open_sandbox("v5", rules=in_lisbon) as sandbox:
        assert LISBON in await asked(sandbox)
        service, ada = sandbox.herald.service, sandbox.actor("Ada")
        assert await service.clocks_of(ada) == Clocks(LISBON, is_own=False)
        await service.set_zone(ada, TOKYO)
        assert await service.store.read(zone_of, service.gate, ada) == TOKYO


async def test_a_name_that_is_given_up_one_day_counts_as_none(v5: Sandbox) -> None:
    service, maya = v5.herald.service, v5.actor("Maya")
    await service.set_zone(maya, TOKYO)
    store: Store = service.store
    with store.begin() as tx:
        tx.members.set_zone(maya.guild_id or 0, maya.id, "Europe/Atlantis")
    assert await service.clocks_of(maya) == Clocks("UTC", is_own=False)


async def test_a_time_is_read_by_the_clocks_of_whoever_types_it(v5: Sandbox) -> None:
    service = v5.herald.service
    await service.set_zone(v5.actor("Maya"), TOKYO)
    by_maya = await service.read_time(v5.actor("Maya"), "tomorrow 18:00")
    by_omar = await service.read_time(v5.actor("Omar"), "tomorrow 18:00")
    assert by_maya is not None
    assert by_omar is not None
    assert (by_maya.zone, by_omar.zone) == (TOKYO, "UTC")
    assert by_maya.at != by_omar.at
    # What was set before stays what it was, whatever zone is set later.
    await service.set_zone(v5.actor("Maya"), LISBON)
    assert await service.read_time(v5.actor("Maya"), by_maya.shown, known=by_maya) == by_maya
