"""The policy: servers, roles, rules, topics and named audiences, and what each may say."""

from collections.abc import Sequence, Set
from datetime import timedelta
from typing import Annotated, Final, Self

from pydantic import (
    AfterValidator,
    Field,
    ValidationInfo,
    field_validator,
    model_validator,
)

from bot.characters import folded
from bot.counted import Drift
from bot.frequency import Limit
from bot.link import host_of
from bot.origin import PRODUCTION
from bot.own_list import PREFIX
from bot.policy.audience import Audience, Listed, ListTargets
from bot.policy.fields import (
    NEVER,
    UNCAPPED,
    AccountName,
    Allowance,
    Approvals,
    Beyond,
    CoolDown,
    DailyCap,
    ExperienceId,
    Generation,
    Host,
    Judged,
    Languages,
    Mentions,
    Name,
    Origin,
    People,
    QuietSpan,
    Roles,
    Severity,
    SizeDrift,
    Snowflake,
    Tables,
    TopicId,
    Variable,
    WeeklyTime,
    WhenQuiet,
    WhoTests,
    ZoneName,
    allowance,
    distinct,
    duration,
)
from bot.policy.names import refuse_alike
from bot.policy.section import Section
from bot.policy.template import Template
from bot.quiet import QuietHours
from bot.sentences import listed

# The name of the account whose key stands in .env.
ACCOUNT: Final = "whop"


class Topic(Section):
    """v5: an identifier registered with Whop. v1: a label for policy and history."""

    id: TopicId
    name: Name


class Channels(Section):
    """Where Herald posts."""

    review: Snowflake
    audit: Snowflake

    @model_validator(mode="after")
    def _apart(self) -> Self:
        if self.review == self.audit:
            raise ValueError(
                f"review and audit are both {self.audit}: name another channel for the record, in which"
                " nobody but Herald may write"
            )
        return self


class ActionRoles(Section):
    """The Discord roles that may take each kind of action."""

    compose: Roles
    approve: Roles
    operate: Roles
    audit: Roles
    # Who may bring a list of people along; nobody, if there are none.
    lists: Roles = ()


class Lists(Section):
    """How the people of a list are reached that somebody brings along."""

    experience: ExperienceId | None = None


class Rules(Section):
    """What a broadcast has to pass."""

    approvals: Approvals = 1
    # As many as for anything else, if none is given.
    corrections: Approvals | None = None
    undo_window: Annotated[timedelta, duration("0s", "1h")] = timedelta(seconds=60)
    review_expires: Annotated[timedelta, duration("5m", "30d")] = timedelta(hours=24)
    missed_after: Annotated[timedelta, duration("1m", "20h")] = timedelta(minutes=15)
    large_above: People = 1000
    size_drift: SizeDrift = Drift(20, 50)
    recipients_kept: Annotated[timedelta, duration("2d", "366d")] = timedelta(days=30)
    time_zone: ZoneName = "UTC"
    weekly_digest: WeeklyTime = None
    quiet_hours: QuietSpan | None = None
    in_quiet_hours: WhenQuiet = "refuse"
    cool_down: CoolDown = timedelta()
    daily_cap: DailyCap = UNCAPPED
    beyond: Beyond = "refuse"
    languages: Languages = ("en",)
    repeat_window: Annotated[timedelta, duration("0s", "30d")] = timedelta(hours=24)
    lent_by_template: Annotated[Allowance, allowance(100, "1s", "30d")] = Allowance(1, timedelta(hours=24))
    series_approval: Annotated[Allowance, allowance(100, "1d", "366d")] = Allowance(0, timedelta(days=1))
    lent_to_person: Annotated[Allowance, allowance(100, "1s", "30d")] = Allowance(2, timedelta(hours=24))
    preview: bool = True
    require_test: WhoTests = "off"


class Cap(Section):
    """How often each holder of a role may compose what goes out, whomever it is for."""

    role: Snowflake
    cool_down: CoolDown = timedelta()
    daily_cap: DailyCap = UNCAPPED
    beyond: Beyond | None = None

    @model_validator(mode="after")
    def _limits(self) -> Self:
        if not self.cool_down and self.daily_cap == UNCAPPED:
            raise ValueError("it limits nothing: write cool_down or daily_cap too, or remove the table")
        return self


class Notify(Section):
    """Who is mentioned: those whose turn it is, nobody, or other roles.

    `review` are those who may approve what waits, `trouble` who may decide what is held, unknown or frozen.
    """

    review: Mentions = True
    trouble: Mentions = True
    author: bool = True
    reminders: bool = True


class Lint(Section):
    """How each kind of slip in the words is judged: not at all, named on cards, or refused."""

    placeholders: Judged = "warn"
    blanks: Judged = "warn"
    markup: Judged = "warn"
    emoji: Judged = "warn"
    mentions: Judged = "warn"
    spaces: Judged = "warn"
    capitals: Judged = "warn"
    tests: Judged = "warn"
    links: Judged = "warn"
    dates: Judged = "warn"
    letters: Judged = "warn"
    repeats: Judged = "warn"

    def kinds(self, severity: Severity) -> Set[str]:
        """Return the kinds of slips that are judged so."""
        return {kind for kind, judged in self if judged == severity}


class WhopAccount(Section):
    """One of several Whop credentials; `key` names the variable that holds its key."""

    name: AccountName
    api: Generation
    base_url: Origin = PRODUCTION
    key: Variable


class Server(Section):
    """One Discord server and its rules."""

    name: Name
    guild: Snowflake
    whop: AccountName | None = None
    link_hosts: Annotated[tuple[Host, ...], AfterValidator(distinct)] = ("whop.com",)
    channels: Channels
    roles: ActionRoles
    rules: Rules = Rules()
    notify: Notify = Notify()
    lint: Lint = Lint()
    lists: Lists = Lists()
    topics: Annotated[Tables[Topic], Field(alias="topic")]
    audiences: Annotated[Tables[Audience], Field(alias="audience")]
    templates: Annotated[tuple[Template, ...], Field(alias="template")] = ()
    caps: Annotated[tuple[Cap, ...], Field(alias="cap")] = ()

    @property
    def account(self) -> str:
        """Return the name of the account by which its broadcasts go out."""
        return self.whop or ACCOUNT

    def audience(self, name: str) -> Audience | None:
        """Return the audience of that name."""
        return next((audience for audience in self.audiences if audience.name == name), None)

    def topic(self, identifier: str) -> Topic | None:
        """Return the topic with that identifier."""
        return next((topic for topic in self.topics if topic.id == identifier), None)

    def audience_of_list(self, name: str, listed: Listed) -> Audience | None:
        """Return the people of a list as an audience; None where nobody may bring one along any more.

        It needs as many approvals as the strictest of the large audiences.
        """
        if not self.roles.lists:
            return None
        large = [one.name for one in self.audiences if self.is_large(one.name)]
        # Where the policy reaches them now: what was approved for another experience is not that.
        there = listed.model_copy(update={"experience": self.lists.experience})
        return Audience(
            name=name,
            targets=ListTargets(listed=there),
            compose=self.roles.lists,
            size=listed.people,
            approvals=max([self.rules.approvals, *map(self.quorum, large)]),
        )

    def quorum(self, audience: str, *, corrects: bool = False) -> int:
        """Return how many approvals a broadcast to the audience of that name needs."""
        return self.quorum_of(self.audience(audience), corrects=corrects)

    def quorum_of(self, named: Audience | None, *, corrects: bool = False) -> int:
        """Return how many approvals a broadcast to an audience needs, or one that corrects another."""
        own = named.approvals if named else None
        if not corrects:
            return own or self.rules.approvals
        # What the server's rules say of corrections loosens no audience that is stricter by itself.
        return (named.corrections if named else None) or own or self._corrections

    @property
    def _corrections(self) -> int:
        return self.rules.corrections or self.rules.approvals

    def refuse_link(self, link: str | None) -> list[str]:
        """Return a sentence if a link leads to a host that is not listed here."""
        host = host_of(link) if link else None
        if host is None or host in self.link_hosts:
            return []
        known = listed(self.link_hosts) or "none yet"
        return [f"The link leads to {host}, which link_hosts in herald.toml does not list ({known})."]

    def zone_of(self, name: str) -> str:
        """Return the time zone in which an audience lives, as far as the policy knows."""
        named = self.audience(name)
        return (named.time_zone if named else None) or self.rules.time_zone

    def quiet_of(self, name: str) -> QuietHours | None:
        """Return the quiet hours of an audience, or None if it has none."""
        named = self.audience(name)
        hours = (named.quiet_hours if named else None) or self.rules.quiet_hours
        if hours is None or hours == NEVER:
            return None
        mode = (named.in_quiet_hours if named else None) or self.rules.in_quiet_hours
        return QuietHours(name, hours, self.zone_of(name), mode)

    def is_large(self, audience: str) -> bool:
        """Tell whether it is large by the policy alone: also if that does not say how many people it has."""
        named = self.audience(audience)
        reach = named.bound() if named else None
        return reach is None or reach > self.rules.large_above

    def limit_of(self, name: str) -> Limit:
        """Return how often an audience may get something, by its own clocks."""
        named, rules = self.audience(name), self.rules
        cool_down = named.cool_down if named and named.cool_down is not None else rules.cool_down
        cap = (named.daily_cap if named else None) or rules.daily_cap
        beyond = (named.beyond if named else None) or rules.beyond
        return Limit(cool_down, None if cap == UNCAPPED else cap, beyond, self.zone_of(name))

    def limits_by_roles(self, roles: Set[int]) -> Sequence[Limit]:
        """Return how often a holder of these roles may compose what goes out: all of it counts."""
        return [
            Limit(
                one.cool_down,
                None if one.daily_cap == UNCAPPED else one.daily_cap,
                one.beyond or self.rules.beyond,
                self.rules.time_zone,
            )
            for one in self.caps
            if one.role in roles
        ]

    @model_validator(mode="after")
    def _lists_of_somebody(self) -> Self:
        if self.lists.experience and not self.roles.lists:
            raise ValueError(
                "lists: nobody may bring a list along: name those who may in roles.lists, or remove the table"
            )
        for audience in self.audiences:
            if folded(audience.name).startswith(folded(PREFIX)):
                raise ValueError(
                    f"audience “{audience.name}”: name: what begins with “{PREFIX.strip()}” are lists that"
                    " people bring along: name it otherwise"
                )
        return self

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        refuse_alike("audience", [[audience.name] for audience in self.audiences])
        # Either may be typed.
        refuse_alike("topic", [[topic.id, topic.name] for topic in self.topics])
        refuse_alike("template", [[template.name] for template in self.templates])
        for template in self.templates:
            for kind, named in (("audience", self.audience), ("topic", self.topic)):
                if named(getattr(template, kind)) is None:
                    raise ValueError(
                        f"template “{template.name}”: {kind}: there is no {kind} “{getattr(template, kind)}”:"
                        f" name one of this server"
                    )
        return self

    @model_validator(mode="after")
    def _of_some(self) -> Self:
        listed = [(f"roles.{name}", roles) for name, roles in self.roles]
        listed += [(f"notify.{name}", roles) for name, roles in self.notify if not isinstance(roles, bool)]
        listed += [(f"audience “{one.name}”: compose", one.compose) for one in self.audiences if one.compose]
        listed += [(f"cap {place}: role", (one.role,)) for place, one in enumerate(self.caps, start=1)]
        for name, roles in listed:
            if self.guild in roles:
                raise ValueError(
                    f"{name}: {self.guild} is the server itself, which as a role is @everyone:"
                    " name a role that only some have"
                )
        return self

    @model_validator(mode="after")
    def _audiences_fit(self) -> Self:
        for audience in self.audiences:
            if audience.in_quiet_hours is not None and self.quiet_of(audience.name) is None:
                raise ValueError(
                    f"audience “{audience.name}”: in_quiet_hours: it has no quiet hours: write"
                    " quiet_hours too, or remove the line"
                )
            if audience.beyond is not None and self.limit_of(audience.name).is_none:
                raise ValueError(
                    f"audience “{audience.name}”: beyond: nothing limits how often it gets something: write"
                    " cool_down or daily_cap too, or remove the line"
                )
            for key, least in (("approvals", self.rules.approvals), ("corrections", self._corrections)):
                own: int | None = getattr(audience, key)
                if own is not None and own < least:
                    raise ValueError(
                        f"audience “{audience.name}”: {key}: {own} is laxer than the server's"
                        f" rules: write at least {least}, or remove the line"
                    )
        return self


class Policy(Section):
    """All of herald.toml."""

    accounts: Annotated[tuple[WhopAccount, ...], Field(alias="whop")] = ()
    servers: Annotated[Tables[Server], Field(alias="server")]

    def server(self, guild_id: int | None) -> Server | None:
        """Return the server with that Discord guild id."""
        return next((server for server in self.servers if server.guild == guild_id), None)

    @property
    def account_names(self) -> Sequence[str]:
        """Return the names of all accounts: of that of .env, unless there are others here."""
        return [one.name for one in self.accounts] or [ACCOUNT]

    def account_of(self, guild_id: int | None) -> str | None:
        """Return the name of the account by which a server sends; None if the policy does not name it."""
        server = self.server(guild_id)
        return server.account if server else None

    def of_account(self, name: str) -> Self:
        """Return the same policy with the servers only whose broadcasts go out by that account."""
        return self.model_copy(update={"servers": tuple(one for one in self.servers if one.account == name)})

    @field_validator("servers")
    @classmethod
    def _name_the_only_account(cls, servers: tuple[Server, ...], info: ValidationInfo) -> tuple[Server, ...]:
        accounts: tuple[WhopAccount, ...] = info.data.get("accounts", ())
        if len(accounts) != 1:
            return servers
        return tuple(
            one if one.whop else one.model_copy(update={"whop": accounts[0].name}) for one in servers
        )

    @model_validator(mode="after")
    def _known_accounts(self) -> Self:
        refuse_alike("whop", [[account.name] for account in self.accounts])
        names = self.account_names
        holders: dict[str, str] = {}
        for account in self.accounts:
            if (first := holders.setdefault(account.key, account.name)) != account.name:
                raise ValueError(
                    f"whop “{account.name}”: key: {account.key} is the key of “{first}” too: an account is"
                    " one key, so name another variable, or remove one of the two"
                )
        for server in self.servers:
            if server.whop is None and len(names) > 1:
                raise ValueError(
                    f"server “{server.name}”: whop: it is missing, and there are several accounts: name the"
                    f" one by which it sends ({', '.join(names)})"
                )
            if server.account not in names:
                mend = (
                    f"name one that has ({', '.join(names)})"
                    if self.accounts
                    else "add one, or remove the line"
                )
                raise ValueError(
                    f"server “{server.name}”: whop: no table [[whop]] has the name “{server.whop}”: {mend}"
                )
        return self

    @model_validator(mode="after")
    def _distinct_names(self) -> Self:
        refuse_alike("server", [[server.name] for server in self.servers])
        return self

    @model_validator(mode="after")
    def _distinct_guilds(self) -> Self:
        names: dict[int, str] = {}
        for server in self.servers:
            if server.guild in names:
                raise ValueError(
                    f"server “{server.name}”: guild: “{names[server.guild]}” has the same id:"
                    " correct it, or remove one of the two"
                )
            names[server.guild] = server.name
        return self
