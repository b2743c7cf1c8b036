"""A template: words for an emergency, approved beforehand, with named blanks to fill in. Pure."""

import unicodedata
from collections.abc import Mapping
from typing import Final

import regex

from bot.characters import HIDDEN, units
from bot.errors import NotReady
from bot.notification import Notification, Text
from bot.policy.model import BLANK, Template

# What is typed into a blank is approved by nobody: it has to be too little to say something else.
BLANK_LIMIT: Final = 60
# An address would lead customers to a place that nobody has looked at.
_ADDRESS: Final = regex.compile(r"://|[^\W_][.。][^\W\d_]{2}")
# Between two texts, where nothing that is typed can stand.
_SEAM: Final = "\x00"
_SECONDS: Final = 0.1


def skeleton(template: Template) -> Notification:
    """Return the notification with its blanks as they stand in the template."""
    return _notification(template, template.subject, template.content)


def fill(template: Template, values: Mapping[str, str]) -> Notification:
    """Return the notification with its blanks filled; raise NotReady if something does not fit one."""
    for name in template.blanks():
        if problem := _problem(values.get(name, "")):
            raise NotReady(f"The blank “{name}” {problem}.")

    def put(text: str) -> str:
        return BLANK.sub(lambda match: values[match[1]], text)

    return _notification(template, put(template.subject), put(template.content))


def fits(template: Template, notification: Notification) -> bool:
    """Tell whether a notification is the template, unchanged except for its blanks."""
    text = notification.all
    if text is None or notification != _notification(template, text.subject, text.content):
        return False
    try:
        found = _pattern(template).fullmatch(f"{text.subject}{_SEAM}{text.content}", timeout=_SECONDS)
    except TimeoutError:
        # It then counts as any other broadcast, for which people are asked.
        return False
    return found is not None and not any(map(_problem, found.groupdict().values()))


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
        else:
            parts.append(f"(?P={part})" if part in seen else f"(?P<{part}>[^{_SEAM}]{{1,{BLANK_LIMIT}}}?)")
            seen.add(part)
    return regex.compile("".join(parts), regex.DOTALL)


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
    return ""
