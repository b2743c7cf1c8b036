"""A template: words for an emergency, approved beforehand, with named blanks to fill in. Pure."""

import unicodedata
from collections.abc import Mapping
from datetime import datetime
from typing import Final

import regex

from bot.characters import HIDDEN, units
from bot.errors import NotReady
from bot.lint import findings
from bot.notification import Notification, Text
from bot.policy.fields import Severity
from bot.policy.model import Server
from bot.policy.template import BLANK, Template
from bot.sentences import listed

# What is typed into a blank is approved by nobody: it has to be too little to say something else.
BLANK_LIMIT: Final = 30
# An address would lead customers to a place that nobody has looked at.
_ADDRESS: Final = regex.compile(r"://|[^\W_][.。][^\W\d_]{2}|\p{Nd}+(?:\.\p{Nd}+){3}")
# Letters with the marks that their script puts on them, digits, and what stands inside of numbers and words.
# Letters that only modify others are what dots and colons are forged of; few scripts write words with them.
_LETTER: Final = r"[\p{L}--[\p{Lm}--[\p{scx=Hira}\p{scx=Kana}\p{scx=Han}\p{scx=Thai}\p{scx=Laoo}]]]\p{M}{0,3}"
_CHARACTER: Final = rf"(?:{_LETTER}|\p{{Nd}})"
_WORDS: Final = regex.compile(
    rf"{_CHARACTER}+(?:(?:[ -]|(?<=\p{{Nd}})[.,:](?=\p{{Nd}})){_CHARACTER}+)*", regex.VERSION1
)
# Dates and times are the only long numbers that nobody dials.
_DATES: Final = regex.compile(
    r"(?<!\p{Nd})(?:20\d\d-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01])"
    r"|(?:0?[1-9]|[12]\d|3[01])\.(?:0?[1-9]|1[0-2])\.20\d\d"
    r"|(?:[01]?\d|2[0-3]):[0-5]\d)(?!\p{Nd})"
)
_NUMBER: Final = regex.compile(r"\p{Nd}(?:[^\p{L}]*\p{Nd})*")
DIGITS_IN_A_ROW: Final = 4
DIGITS_IN_ALL: Final = 6
# Between two texts, where nothing that is typed can stand.
_SEAM: Final = "\x00"
_SECONDS: Final = 0.1


def skeleton(template: Template) -> Notification:
    """Return the notification with its blanks as they stand in the template."""
    return _notification(template, template.subject, template.content)


def slips(template: Template, server: Server, *, severity: Severity, now: datetime) -> list[str]:
    """Return a sentence for each slip that the policy judges so, whatever is chosen for the blanks."""
    choices = {name: template.choices(name) or ("…",) for name in template.blanks()}
    found: dict[str, None] = {}
    for index in range(max(map(len, choices.values()), default=1)):
        filled = {name: some[index % len(some)] for name, some in choices.items()}
        words = _filled(template, filled)
        told = findings(words, server, audience=template.audience, severity=severity, now=now)
        found |= dict.fromkeys(one.sentence for one in told)
    return [*found]


def fill(template: Template, values: Mapping[str, str]) -> Notification:
    """Return the notification with its blanks filled; raise NotReady if something does not fit one."""
    # A phone leaves a space behind the word that it has offered.
    typed = {name: value.strip() for name, value in values.items()}
    if sentence := _misfit(template, typed):
        raise NotReady(sentence)

    return _filled(template, typed)


def _filled(template: Template, values: Mapping[str, str]) -> Notification:
    def put(text: str) -> str:
        return BLANK.sub(lambda match: values[match[1]], text)

    return _notification(template, put(template.subject), put(template.content))


def misfit(template: Template, notification: Notification) -> str | None:
    """Return the sentence that says which blank holds what nobody approved, or nothing if none does.

    None if the notification is not the template at all, unchanged except for its blanks.
    """
    text = notification.all
    if text is None or notification != _notification(template, text.subject, text.content):
        return None
    try:
        found = _pattern(template).fullmatch(f"{text.subject}{_SEAM}{text.content}", timeout=_SECONDS)
    except TimeoutError:
        # It then counts as any other broadcast, for which people are asked.
        return None
    return _misfit(template, found.groupdict()) if found else None


def _misfit(template: Template, values: Mapping[str, str]) -> str:
    for name in template.blanks():
        value, choices = values.get(name, ""), template.choices(name)
        if choices and value not in choices:
            return f"The blank “{name}” takes one of {listed(f'“{one}”' for one in choices)}."
        if not choices and (problem := _problem(value)):
            return f"The blank “{name}” {problem}."
    return ""


def _notification(template: Template, subject: str, content: str) -> Notification:
    return Notification(
        topic=template.topic,
        all=Text(subject=subject, content=content),
        subtitle=template.subtitle,
        link=template.link,
    )


def _pattern(template: Template) -> "regex.Pattern[str]":
    parts: list[str] = []
    seen: set[str] = set()
    # Every other part is the name of a blank.
    for index, part in enumerate(BLANK.split(f"{template.subject}{_SEAM}{template.content}")):
        if index % 2 == 0:
            parts.append(regex.escape(part))
        elif part in seen:
            parts.append(f"(?P={part})")
        else:
            parts.append(f"(?P<{part}>{_allowed(template, part)})")
            seen.add(part)
    return regex.compile("".join(parts), regex.DOTALL)


def _allowed(template: Template, blank: str) -> str:
    choices = template.choices(blank)
    return "|".join(map(regex.escape, choices)) if choices else f"[^{_SEAM}]{{1,{BLANK_LIMIT}}}?"


def _problem(value: str) -> str:
    """Return what is wrong with the value of a blank, or nothing."""
    if not value.strip():
        return "is empty"
    if units(value) > BLANK_LIMIT:
        return f"is too long: at most {BLANK_LIMIT} characters fit"
    if HIDDEN.search(value) or any(unicodedata.category(ch) in {"Cc", "Cs", "Zl", "Zp"} for ch in value):
        return "has a line break or an invisible character: type it on one line"
    if _ADDRESS.search(unicodedata.normalize("NFKC", value)):
        return "has an address in it: nobody has approved where it leads"
    numbers = [sum(map(str.isdecimal, one)) for one in _NUMBER.findall(_DATES.sub("x", value))]
    if max(numbers, default=0) > DIGITS_IN_A_ROW or sum(numbers) > DIGITS_IN_ALL:
        return "has a number in it that could be dialled: nobody has approved whom it reaches"
    if not _WORDS.fullmatch(value) or unicodedata.normalize("NFKC", value) != unicodedata.normalize(
        "NFC", value
    ):
        return "takes letters, digits and single spaces, with - inside of words and . , : inside of numbers"
    return ""
