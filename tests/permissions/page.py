"""The table as a page for people: docs/permissions.md."""

from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from itertools import groupby
from types import MappingProxyType
from typing import Final

from bot.broadcast import Status
from cogs.buttons import LOOKS
from tests.permissions.people import Who
from tests.permissions.table import (
    DOOR,
    DRAFT_OF_ANOTHER,
    NO_SUCH,
    OLD_CARD,
    STATES,
    TABLE,
    TIMED_OUT,
    Leads,
    Mark,
    Row,
)
from tests.permissions.ways import WAYS

# What stands over a column; those whose cells are all the same share the first one's.
_SHORT: Final[Mapping[Who, str]] = MappingProxyType(
    {
        Who.AUTHOR: "author",
        Who.AUTHOR_WITH_ALL: "author, every role",
        Who.AUTHOR_WITHOUT: "author, roles lost",
        Who.EDITOR: "editor, every role",
        Who.SHARED: "shared with, every role",
        Who.COMPOSER: "composer",
        Who.APPROVER: "approver",
        Who.GAINED: "new approver",
        Who.OPERATOR: "operator",
        Who.AUDITOR: "auditor",
        Who.LOST: "no role",
        Who.ADMINISTRATOR: "administrator",
        Who.OWNER: "owner",
        Who.STRANGER: "stranger",
        Who.AUTHOR_TIMED_OUT: "timed out",
        Who.TIMED_OUT: "timed out",
        Who.ELSEWHERE: "other server",
        Who.OTHER_ACCOUNT: "other account",
        Who.UNNAMED: "outside",
        Who.BOT: "bot",
        Who.DIRECT: "direct message",
    }
)
_FORMS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "ComposeModal": "submitting the form",
        "ComposeModal of a draft": "submitting the form",
        "ChangeModal": "submitting the form for another audience or topic",
        "RepeatModal": "submitting the form for a series",
        "ListModal": "submitting the form for the list",
        "TimeModal": "submitting the form for the time",
        "CorrectionModal": "submitting the form",
        "PhoneModal": "submitting the form for the phone",
        "ShareModal": "submitting the form",
        "CodeModal": "typing the code in the form",
        "ConfirmModal": "confirming in the form",
        "ReasonModal": "submitting the form for the reason",
        "NameModal": "typing the audience's name in the form",
        "NameModal of a template": "typing the audience's name in the form",
        "BlanksModal": "submitting the form for the blanks",
        "TemplateModal": "submitting the form",
        "TemplateModal of a template": "submitting the form",
        "TemplatePhoneModal": "submitting the form for the phone",
        "FillModal": "submitting the form for the blanks",
        "page": "the buttons **Older** and **Newest**",
    }
)
_EXAMPLE: Final = {
    "number": 12,
    "other": "Moonlight and Starlight",
    **{role: f"@{role}" for role in ("compose", "approve", "operate", "audit", "lists")},
}

_HEAD: Final = """\
# Who may do what, and when

<!-- Printed by `make permissions`. Change tests/permissions/table.py, never this page. -->

Each cell below is asserted by the tests, on the real use cases and a real database, and every command, \
button and form in a simulated Discord: whoever is allowed gets it done; whoever is refused reads \
exactly the sentence given here, changes nothing, and leaves one line in the record. Everybody is judged \
anew at each command, each button and each form, by the roles they hold at that moment: a form that was \
opened with a role and is submitted without it is refused, and what was typed is given back.
"""
_RECORD: Final = """\
## What the record says

A refusal is one line, `refused` and the word in the last column above, with who asked, when, and the \
sentence they read; if it is about a broadcast of their server, with its number and its proof code. What \
is done stands there under the word itself (a new broadcast as `composed`).

These leave no line: what is only looked at by those who may; what Discord offers while somebody types \
(whoever may not see it is offered nothing); a number that is none, a search that cannot be read, and a \
button that this Herald does not know. Nor is there a record to write into for whoever comes from a \
server that the policy does not name, or by direct message.
"""


def page() -> str:
    """Return the whole document."""
    tables = [_general(), *_by_status(), _sentences(), _others(), _RECORD, _surfaces()]
    return "\n".join([_HEAD, _legend(), _columns(), *tables])


def _legend() -> str:
    lines = [f"- {mark.sign} {mark.meaning}" for mark in Mark]
    said = (
        "Who somebody is counts before the state of the broadcast: whoever could not do a thing at all does"
        " not learn where the broadcast stands, nor whether there is one."
    )
    return "\n".join(["## The signs", "", *lines, "", said, ""])


@cache
def _groups() -> list[list[Who]]:
    """Return the columns, those in one that never differ."""
    signs = {who: tuple(row.mark(who, status) for row in TABLE.values() for status in Status) for who in Who}
    return [list(group) for _, group in groupby(Who, key=signs.__getitem__)]


def _columns() -> str:
    lines = [f"- **{_SHORT[group[0]]}**: {'; '.join(group)}" for group in _groups()]
    said = (
        "An editor is whoever wrote words that are in it and is not its author, as of a broadcast that was"
        " composed again. Being an administrator or an owner means nothing to Herald."
    )
    return "\n".join(["## The columns", "", *lines, "", said, ""])


def _grid(head: Sequence[str], rule: str, lines: Iterable[Sequence[str]]) -> str:
    """Return a table; `rule` has < for each column of words and ^ for each of signs."""
    drawn = [":--" if one == "<" else ":-:" for one in rule]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (head, drawn, *lines)) + "\n"


def _rule() -> str:
    return "<" + "^" * len(_groups())


def _marks(row: Row, status: Status) -> list[str]:
    return [row.mark(group[0], status).sign for group in _groups()]


def _general() -> str:
    """Return what does not depend on where a broadcast stands."""
    rows = [row for row in TABLE.values() if not row.names_it]
    head = ["", *(_SHORT[group[0]] for group in _groups())]
    table = _grid(head, _rule(), ([row.what, *_marks(row, Status.REVIEW)] for row in rows))
    return f"## Whatever the state\n\n{table}"


def _by_status() -> list[str]:
    rows = [row for row in TABLE.values() if row.names_it]
    same: dict[tuple[str, ...], list[Status]] = {}
    for status in Status:
        drawn = tuple(sign for row in rows for sign in [*_marks(row, status), _target(row.leads, status)])
        same.setdefault(drawn, []).append(status)
    return [_of_status(statuses, rows) for statuses in same.values()]


def _of_status(statuses: Sequence[Status], rows: Sequence[Row]) -> str:
    status = statuses[0]
    head = ["", "leads to", *(_SHORT[group[0]] for group in _groups())]
    possible = [row for row in rows if status in row.leads]
    other = [row for row in rows if status not in row.leads]
    lines = [[f"**{row.what}**", _target(row.leads, status), *_marks(row, status)] for row in possible]
    lines += [[row.what, "", *_marks(row, status)] for row in other]
    return f"## In {' or '.join(f'*{one}*' for one in statuses)}\n\n{_grid(head, '<' + _rule(), lines)}"


def _target(leads: Leads, status: Status) -> str:
    after = leads.get(status)
    return "" if after in {None, status} else f"*{after}*"


def _sentences() -> str:
    lines = [[row.what, _all_said(row), f"`{row.record}`"] for row in TABLE.values()]
    note = (
        "`@compose` and the like stand for the Discord roles that the policy names; the author is called"
        " Maya, and the broadcast is #12."
    )
    return f"## What people read\n\n{note}\n\n{_grid(['', 'sentence', 'in the record'], '<<<', lines)}"


def _all_said(row: Row) -> str:
    said = ((Mark.ROLE, row.role), (Mark.OWN, row.own), (Mark.BEYOND, row.beyond), (Mark.AUTHOR, row.author))
    return "<br>".join(f"{mark.sign} {words.format_map(_EXAMPLE)}" for mark, words in said if words)


def _others() -> str:
    lines = [
        *(f"- 🕒 in *{status}*: {sentence.format_map(_EXAMPLE)}" for status, sentence in STATES.items()),
        f"- 👻 {NO_SUCH.format_map(_EXAMPLE)}",
        f"- 👻 a draft of somebody else's: {DRAFT_OF_ANOTHER.format_map(_EXAMPLE)}",
        f"- ⏳ {TIMED_OUT}",
        f"- 🚪 {DOOR}",
        f"- a button of an older card, for those who may: {OLD_CARD}",
    ]
    return "\n".join(["Whatever was asked for:", "", *lines, ""])


def _surfaces() -> str:
    where: dict[str, list[str]] = {what: [] for what in TABLE}
    for way in WAYS:
        where[way.what] += [_spoken(surface) for surface in way.surfaces]
    lines = [[what, "; ".join(dict.fromkeys(found))] for what, found in where.items()]
    return f"## Where it is asked for\n\n{_grid(['', 'command, button or form'], '<<', lines)}"


def _spoken(surface: str) -> str:
    kind, _, name = surface.partition(" ")
    match kind:
        case "/notify":
            return f"`{surface}`"
        case "button":
            return f"**{LOOKS[name].label.format(number=12)}**"
        case _:
            return _FORMS[surface if surface in _FORMS else kind]
