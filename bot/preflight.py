"""The questions of `herald check`: can what the settings and the policy name be reached and used?"""

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final, NamedTuple

import aiohttp
import discord

from bot.audit.mirror import Condition
from bot.chat.channels import CHANNEL_RIGHTS
from bot.chat.commands import differing, wanted_commands
from bot.chat.members import ask_members
from bot.delivery import NoAnswer
from bot.errors import REFUSED_BY_DISCORD, HeraldError, Unreachable
from bot.file_rights import open_to_others, with_companions
from bot.key_trust import nothing_to_prove, recall
from bot.own_list import OWN_LABEL
from bot.policy.audience import Listed
from bot.policy.fields import Severity
from bot.policy.model import Policy, Server
from bot.sentences import listed
from bot.settings import Settings
from bot.store import Access, Store
from bot.template import slips
from bot.whop import Account
from bot.whop.reads import Failed, Reads, Source
from bot.whop.transport import Transport

# Without the last, deleted posts of the record could not be found after an absence.
# Words that are too long for a card are attached to it.
REVIEW_RIGHTS: Final = CHANNEL_RIGHTS | {"attach_files": "Attach Files"}
AUDIT_RIGHTS: Final = CHANNEL_RIGHTS | {"read_message_history": "Read Message History"}
_SEVERITIES: Final[Sequence[Severity]] = ("stop", "warn")
# So long may lines wait for a Herald that is about to post them.
MINUTE: Final = timedelta(minutes=1)
# What a setting of .env is called in a table [[whop]].
_KEYS: Final = {"WHOP_API_KEY": "key", "WHOP_BASE_URL": "base_url"}


async def check_whop(policy: Policy, account: Account, transport: Transport) -> AsyncIterator[str]:
    """Ask Whop harmless questions by an account; yield a sentence for each thing to mend."""
    for probe in account.gateway.probes(policy.of_account(account.name)):
        answer = await transport.send(probe.request)
        if isinstance(answer, NoAnswer):
            unreached = f"WHOP_BASE_URL: Whop could not be reached ({answer.reason}): mend it or the network."
            yield _addressed(unreached, policy, account)
            return
        if sentence := probe.judge(answer):
            yield _addressed(sentence, policy, account)


# From an experience or a company to a page of its members it is never further.
_FURTHEST: Final = 4


async def find_uncounted(
    policy: Policy, account: Account, transport: Transport, *, now: datetime
) -> list[str]:
    """Return a sentence for each reason why audiences cannot be counted; sends need no count."""
    whose: dict[str, list[str]] = {}
    for server in policy.of_account(account.name).servers:
        for audience in server.audiences:
            # One question is enough for a hint, and a policy may name very many targets.
            for source in account.gateway.reads.sources(audience.targets)[:1]:
                if why := await _uncounted(source, account.gateway.reads, transport, now):
                    whose.setdefault(why, []).append(f"“{audience.name}”")
    return [
        f"herald.toml: {listed(names)} cannot be counted: {why}. The size of such an audience is what its"
        " `size` says, or unknown."
        for why, names in whose.items()
    ]


async def _uncounted(source: Source, reads: Reads, transport: Transport, now: datetime) -> str | None:
    for _ in range(_FURTHEST):
        part = reads.read(source, await transport.send(reads.ask(source)), now=now)
        if isinstance(part, Failed):
            return part.why
        if source.kind in {"members", "team", "total"} or not part.then:
            return None
        source = part.then[0]
    return None


def _addressed(sentence: str, policy: Policy, account: Account) -> str:
    """Return the sentence with the place where what it is about stands: in .env, or with an account."""
    setting, _, rest = sentence.partition(": ")
    if not policy.accounts or setting not in _KEYS:
        return sentence
    return f"herald.toml: whop “{account.name}”: {_KEYS[setting]}: {rest}"


def look_at_database(settings: Settings) -> list[str]:
    """Return why the database cannot be used now, or nothing; one that is not made yet is no mistake."""
    if settings.has_database_file and not settings.database_file.exists():
        return []
    try:
        Store.reach(settings.database_url.get_secret_value())
    except HeraldError as error:
        return [str(error)]
    return []


def look_at_files(settings: Settings) -> list[str]:
    """Return a sentence for each file of Herald's that others on this machine can use."""
    database = with_companions(settings.database_file) if settings.has_database_file else []
    return [
        f"{one} can be used by others on this machine: it has all words, names and approvals, so let nobody"
        f" but Herald's own user at it (chmod 600 {one})."
        for one in open_to_others([*database, settings.witness_file])
    ]


def look_at_templates(policy: Policy, *, file: str, now: datetime) -> list[str]:
    """Return a sentence for each likely slip in words that customers may read in an emergency."""
    return [
        f"{file}: server “{server.name}”, template “{template.name}”: {sentence}"
        for server in policy.servers
        for template in server.templates
        # What is to be stopped has ended the check already, unless it is a day that has passed since.
        for severity in _SEVERITIES
        for sentence in slips(template, server, severity=severity, now=now)
    ]


async def look_up_proof(settings: Settings, account: Account) -> str:
    """Return the line that says whether Whop's idempotency keys are proven, and how to prove them."""
    if account.version_date is None:
        return nothing_to_prove(account.gateway)
    proof = None
    # Looking is no reason to make a database.
    if not settings.has_database_file or settings.database_file.exists():
        try:
            address = settings.database_url.get_secret_value()
            async with Store.open(address, alone=False) as store:
                proof = await store.read(recall, account)
        except HeraldError as error:
            return f"Whether Whop's idempotency keys are proven cannot be looked up now. {error}"
    if proof is None:
        return (
            "Whop's idempotency keys are not proven for this API key: what gets no answer is not repeated."
            " herald check --prove USER_ID EXPERIENCE_ID proves them, with your own Whop user and an"
            " experience that you see."
        )
    return f"Whop's idempotency keys are proven for this API key, since {proof.at:%Y-%m-%d}."


def look_at_mirror(settings: Settings, policy: Policy, *, now: datetime) -> list[str]:
    """Return a sentence for each server whose record cannot be mirrored, or its mirror not be read."""
    # Looking is no reason to make a database.
    if settings.has_database_file and not settings.database_file.exists():
        return []
    try:
        address = settings.database_url.get_secret_value()
        with Store.open_to_read(address) as store, store.begin(Access.READ) as tx:
            conditions = [(server.name, tx.mirror.condition(server.guild)) for server in policy.servers]
    except HeraldError as error:
        return [f"Whether lines of the record wait to be posted cannot be looked up now. {error}"]
    return [
        f"herald.toml: server “{name}”: channels.audit: {sentence}"
        for name, condition in conditions
        for sentence in _troubles(condition, now)
    ]


def _troubles(mirror: Condition, now: datetime) -> Iterator[str]:
    if mirror.waiting and (mirror.failures or mirror.since is None or now - mirror.since > MINUTE):
        since = f"{mirror.since:%Y-%m-%d %H:%M} UTC" if mirror.since else "an unknown time"
        why = mirror.why or "no `herald run` is connected to Discord: start one"
        yield f"{mirror.waiting} line(s) of the record wait to be posted since {since}: {why}."
    if mirror.unread:
        yield f"deleted posts cannot be found: {mirror.unread}."


# By which somebody can put words into a channel, or take them out.
_WRITING: Final = ("send_messages", "manage_messages", "manage_webhooks")


class Answer(NamedTuple):
    """What Discord or Whop said: a sentence for each thing to mend, and for each that may stay."""

    problems: list[str]
    notes: list[str]


async def ask_discord(policy: Policy, token: str) -> Answer:
    """Log in and ask Discord.

    It is a plain client: asking installs no commands and opens no database that a running Herald has.
    """
    async with discord.Client(intents=discord.Intents(guilds=True)) as client:
        try:
            await client.login(token)
        except discord.LoginFailure:
            return Answer([REFUSED_BY_DISCORD], [])
        except (discord.HTTPException, aiohttp.ClientError, OSError) as error:
            return Answer([f"Discord could not be asked ({type(error).__name__}): try again later."], [])
        problems = [sentence async for sentence in check_discord(policy, client)]
        if problems:
            return Answer(problems, [])
        compared = await compare_commands(policy, client)
        notes = [*await find_silent_roles(policy, client), *await name_other_writers(policy, client)]
        return compared._replace(notes=[*compared.notes, *notes])


async def check_discord(policy: Policy, client: discord.Client) -> AsyncIterator[str]:
    """Ask Discord, through a client that is logged in; yield a sentence for each thing to mend."""
    for server in policy.servers:
        key = f"herald.toml: server “{server.name}”"
        try:
            async for sentence in _check_server(server, client):
                yield f"{key}: {sentence}"
        except (discord.NotFound, discord.Forbidden):
            yield f"{key}: guild: Herald is not in {server.guild}: correct the id, or invite Herald there."
        except discord.HTTPException as error:
            yield f"{key}: guild: Discord answered {error.status} when asked about it: try again later."
        except (aiohttp.ClientError, OSError) as error:
            yield f"{key}: guild: Discord could not be asked ({type(error).__name__}): try again later."


async def compare_commands(policy: Policy, client: discord.Client) -> Answer:
    """Compare the commands that are installed with those that should be."""
    wanted = await wanted_commands()
    answer = Answer([], [])
    for server in policy.servers:
        key = f"herald.toml: server “{server.name}”: commands"
        try:
            installed = await client.http.get_guild_commands(client.application_id or 0, server.guild)
        except discord.Forbidden:
            answer.problems.append(f"{key}: Herald may not install any: invite it again, as the README says.")
        except (discord.HTTPException, aiohttp.ClientError, OSError) as error:
            answer.problems.append(
                f"{key}: Discord could not be asked ({type(error).__name__}): try again later."
            )
        else:
            if names := ", ".join(f"/{name}" for name in differing(wanted, installed)):
                answer.notes.append(f"{key}: {names} is not there as it should be: `herald run` installs it.")
    return answer


async def find_silent_roles(policy: Policy, client: discord.Client) -> list[str]:
    """Return a sentence for each role whose mention would ping nobody."""
    found: list[str] = []
    for server in policy.servers:
        try:
            guild = await client.fetch_guild(server.guild)
            me = await guild.fetch_member(client.user.id if client.user else 0)
        except (discord.HTTPException, aiohttp.ClientError, OSError):
            # What else was asked has said so already.
            continue
        if me.guild_permissions.mention_everyone:
            continue
        silent = [role for role in guild.roles if role.id in _mentioned(server) and not role.mentionable]
        found += [
            f"herald.toml: server “{server.name}”: the mention of @{role.name} pings nobody: let the role be"
            " mentioned in Discord's settings of it, or name others in [server.notify]."
            for role in silent
        ]
    return found


async def name_other_writers(policy: Policy, client: discord.Client) -> list[str]:
    """Return a sentence for each record's channel in which others can write, delete or manage webhooks."""
    found: list[str] = []
    for server in policy.servers:
        try:
            guild = await client.fetch_guild(server.guild)
            channels = {channel.id: channel for channel in await guild.fetch_channels()}
        except (discord.HTTPException, aiohttp.ClientError, OSError):
            # What else was asked has said so already.
            continue
        channel = channels.get(server.channels.audit)
        if channel is not None and (others := _writers(guild, channel, client.user)):
            found.append(
                f"herald.toml: server “{server.name}”: channels.audit: {listed(others)} can write, delete or"
                f" manage webhooks in #{channel.name}: take that away, so that what stands there is Herald's."
            )
    return found


def _writers(
    guild: discord.Guild, channel: discord.abc.GuildChannel, me: discord.ClientUser | None
) -> list[str]:
    """Return the roles and members who can; Herald's own are none of them."""
    own = {guild.self_role.id} if guild.self_role else set[int]()
    roles = [one for one in guild.roles if one.id not in own and not one.is_bot_managed()]
    able = [
        one.name if one.is_default() else f"@{one.name}"
        for one in roles
        if any(getattr(channel.permissions_for(one), right) for right in _WRITING)
    ]
    members = [
        f"the member {target.id}"
        for target, overwrite in channel.overwrites.items()
        if not isinstance(target, discord.Role)
        and (me is None or target.id != me.id)
        and any(getattr(overwrite, right) for right in _WRITING)
    ]
    return [*able, *members]


def _mentioned(server: Server) -> set[int]:
    """Return the roles that Herald mentions in a server."""
    asked = ((server.notify.review, server.roles.approve), (server.notify.trouble, server.roles.operate))
    return {role for chosen, roles in asked for role in (roles if chosen is True else chosen or ())}


async def _check_server(server: Server, client: discord.Client) -> AsyncIterator[str]:
    guild = await client.fetch_guild(server.guild)
    channels = {channel.id: channel for channel in await guild.fetch_channels()}
    me = await guild.fetch_member(client.user.id if client.user else 0)
    known = {role.id for role in guild.roles}
    named = [(f"roles.{name}", role) for name, roles in server.roles for role in roles]
    named += [(f"cap {place}: role", one.role) for place, one in enumerate(server.caps, start=1)]
    named += [
        (f"audience “{one.name}”: compose", role) for one in server.audiences for role in one.compose or ()
    ]
    for key, role in named:
        if role not in known:
            yield f"{key}: there is no role {role} in {guild.name}: correct the id."
    if all(role in known for _, role in named):
        async for sentence in _unreachable(server, client):
            yield sentence
    for name, channel_id in server.channels:
        rights = AUDIT_RIGHTS if name == "audit" else REVIEW_RIGHTS
        if problem := _refuse_channel(channels.get(channel_id), me, rights):
            yield f"channels.{name}: {channel_id}: {problem}."


async def _unreachable(server: Server, client: discord.Client) -> AsyncIterator[str]:
    """Yield a sentence for each audience that not enough people could ever approve."""
    try:
        members = await ask_members(client, server.guild)
    except Unreachable:
        # Without the Server Members Intent nobody can know.
        return
    people = [one for one in members if not one.bot]
    approving = {one.id for one in people if not one.roles.isdisjoint(server.roles.approve)}
    writing = [one for one in people if not one.roles.isdisjoint(server.roles.compose)]
    own = server.audience_of_list(OWN_LABEL, Listed(name=OWN_LABEL))
    for audience in [*server.audiences, *([own] if own else [])]:
        composing = {one.id for one in writing if audience.is_open_to(one.roles)}
        if not composing and audience.compose:
            yield (
                f"audience “{audience.name}”: compose: nobody could ever compose for it: nobody holds one of"
                " these roles and one of roles.compose: give them to somebody."
            )
            continue
        quiet = server.quiet_of(audience.name)
        quorum = max(server.quorum_of(audience, corrects=corrects) for corrects in (False, True))
        limit = server.limit_of(audience.name)
        often = not limit.is_none and limit.beyond == "approval"
        needed = quorum + (quiet is not None and quiet.mode == "approval") + often
        # The best case: whoever writes it takes nobody away from those who approve.
        most = max((len(approving - {author}) for author in composing), default=0)
        if most < needed:
            when = "" if most < quorum else " beyond its limits" if often else " in quiet hours"
            yield (
                f"audience “{audience.name}”: nobody could ever approve it{when}: it needs {needed}"
                f" approval(s), and {most} member(s) other than its author hold a role of roles.approve:"
                " give it to more."
            )


def _refuse_channel(
    channel: discord.abc.GuildChannel | None, me: discord.Member, needed: Mapping[str, str]
) -> str | None:
    if channel is None:
        return f"there is no such channel in {me.guild.name}: correct the id"
    if not isinstance(channel, discord.TextChannel):
        return f"#{channel.name} is no text channel: name one that is"
    rights = channel.permissions_for(me)
    missing = [spoken for right, spoken in needed.items() if not getattr(rights, right)]
    if not missing:
        return None
    return f"Herald lacks {', '.join(missing)} in #{channel.name}: allow it in the channel's settings"
