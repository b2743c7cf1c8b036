"""An everyday template: words that moderators keep for themselves, with named blanks to fill in. Pure.

It lends no approval: what is made of it is reviewed as anything else.
"""

from collections.abc import Callable, Iterable, Mapping
from enum import StrEnum
from typing import Final, NamedTuple

import regex

from bot.characters import HIDDEN, is_blank, is_storable, spelling, units
from bot.errors import NotReady
from bot.notification import Notification, Text, problems
from bot.policy.fields import read_name
from bot.policy.names import refuse_alike
from bot.policy.template import MOST_CHOICES
from bot.sentences import listed, shortened
from bot.value import Person, Value

# A form of Discord's has room for as many.
MOST_FIELDS: Final = 5
CHOICE_LIMIT: Final = 100
_QUOTED: Final = 40
# Braces, colons and commas of a wide keyboard count as well.
_NAME: Final = r"[{\uff5b][ \u3000]*([^\W\d_](?:[\w -]{0,28}\w)?)[ \u3000]*[}\uff5d]"
_BLANK: Final = regex.compile(_NAME)
_DECLARED: Final = regex.compile(
    r"\s*[{\uff5b]?\s*([^:\uff1a={}\uff5b\uff5d]+?)\s*[}\uff5d]?\s*[:\uff1a=]\s*(.+?)\s*"
)
_ONE_OF: Final = regex.compile(r"(?i)one\s+of\s*[:\uff1a]?\s+(.+)")
_COMMA: Final = regex.compile(r"\s*[,;\u060c\u061b\u3001\uff0c\uff1b]\s*")
_OR: Final = regex.compile(r"(?i)(?:^|\s+)or\s+")
_BRACE: Final = regex.compile(r"[{}\uff5b\uff5d]")
_NUMBER: Final = regex.compile(r"[+\-\u2212]?\p{Nd}+(?:[.,:'\u2019\u00a0\u202f ]\p{Nd}+)*(?:\s?[%\u2030])?")
_BREAK: Final = regex.compile(r"[\r\n\v\f\x1c-\x1e\x85\u2028\u2029]")


class Kind(StrEnum):
    """What may stand in a blank."""

    WORD = "word"
    LINE = "line"
    NUMBER = "number"
    TIME = "time"
    CHOICE = "one of"


# So many characters of each fit, as Discord counts them.
LIMITS: Final[Mapping[Kind, int]] = {Kind.WORD: 60, Kind.LINE: 200, Kind.NUMBER: 30, Kind.TIME: 60}


class Blank(Value):
    """A named place in the words, and what may stand there."""

    name: str
    kind: Kind = Kind.LINE
    choices: tuple[str, ...] = ()

    @property
    def told(self) -> str:
        """Return what may stand there, as it is declared."""
        return f"one of {', '.join(self.choices)}" if self.kind is Kind.CHOICE else self.kind.value


class Outline(Value):
    """What a template says; an audience or a topic of None is asked for whenever it is used.

    The topic of its words is empty.
    """

    name: str
    audience: str | None
    topic: str | None
    words: Notification
    blanks: tuple[Blank, ...] = ()

    @property
    def declared(self) -> str:
        """Return what its author would type to say what its blanks are."""
        return "\n".join(f"{one.name}: {one.told}" for one in self.blanks if one.kind is not Kind.LINE)


class Typed(NamedTuple):
    """What was typed of a template: as in its outline, with a line for each blank that is `declared`."""

    name: str
    audience: str | None
    topic: str | None
    words: Notification
    declared: str


class EverydayTemplate(Value):
    """A template of a server, as it stands."""

    id: int
    guild_id: int
    author: Person
    editor: Person
    revision: int
    retired: bool
    outline: Outline

    @property
    def owners(self) -> frozenset[int]:
        """Return whose it is: those who made it."""
        return frozenset({self.author.id})

    @property
    def audience(self) -> str | None:
        """Return for which audience it is; None for whichever is chosen when it is used."""
        return self.outline.audience

    @property
    def name(self) -> str:
        """Return the name by which people choose it."""
        return self.outline.name


class TemplateName(NamedTuple):
    """A template as it is offered while somebody types."""

    id: int
    name: str
    author: str


def outlined(typed: Typed) -> Outline:
    """Return what a template says, read from what was typed; raise NotReady with what is to be mended."""
    name, audience, topic, words, declared = typed
    # The words for the phone may come later, where they differ.
    whole = words.model_copy(update={"mobile": words.mobile or words.in_app})
    if wrong := problems(whole):
        raise NotReady(" ".join(wrong))
    outline = Outline(
        name=read_template_name(name),
        audience=audience,
        topic=topic,
        words=words,
        blanks=_blanks(words, declared),
    )
    _refuse_more_than_fit(outline)
    return outline


def _refuse_more_than_fit(outline: Outline) -> None:
    known = {"the audience": outline.audience, "the topic": outline.topic}
    asked = [what for what, set_to in known.items() if set_to is None]
    blanks = len(outline.blanks)
    if blanks + len(asked) > MOST_FIELDS:
        more = f" and asks for {' and '.join(asked)}" if asked else ""
        mend = f", or set {' and '.join(asked)}" if asked else ""
        raise NotReady(
            f"It has {blanks} blanks{more}, and a form has room for {MOST_FIELDS} things: have fewer"
            f" blanks{mend}."
        )


def read_template_name(name: str) -> str:
    """Return the name without spaces around it; raise NotReady if it is none."""
    try:
        return str(read_name(name))
    except ValueError:
        raise NotReady(
            "The name has to be 1 to 100 characters on one line, and none that nobody would see."
        ) from None


def fill(
    outline: Outline, values: Mapping[str, str], *, topic: str, written: Callable[[str], str]
) -> Notification:
    """Return the words with the blanks filled; raise NotReady with a sentence for each that does not fit.

    `written` returns a time as customers read it, and raises NotReady if what was typed is none.
    """
    known = {_key(name): value.strip() for name, value in values.items()}
    put: dict[str, str] = {}
    wrong: list[str] = []
    for blank in outline.blanks:
        try:
            put[_key(blank.name)] = _read(blank, known.get(_key(blank.name), ""), written)
        except NotReady as misfit:
            wrong.append(str(misfit))
    if wrong:
        raise NotReady(" ".join(wrong))
    filled = _changed(outline.words, lambda text: _BLANK.sub(lambda match: put[_key(match[1])], text))
    return filled.model_copy(update={"topic": topic})


def _read(blank: Blank, typed: str, written: Callable[[str], str]) -> str:
    called = f"The blank “{blank.name}”"
    if blank.kind is Kind.CHOICE:
        wanted = spelling(typed).casefold()
        for choice in blank.choices:
            if spelling(choice).casefold() == wanted:
                return choice
        raise NotReady(f"{called} takes one of {listed(f'“{one}”' for one in blank.choices)}.")
    if problem := _problem(blank.kind, typed):
        raise NotReady(f"{called} {problem}.")
    if blank.kind is not Kind.TIME:
        return typed
    try:
        return written(typed)
    except NotReady as why:
        raise NotReady(f"{called} takes a time. {why}") from None


def _problem(kind: Kind, typed: str) -> str:
    """Return what is wrong with what was typed into a blank, or nothing."""
    if is_blank(typed):
        return "is empty"
    if units(typed) > LIMITS[kind]:
        return f"has {units(typed)} characters; at most {LIMITS[kind]} fit"
    if _BREAK.search(typed):
        return "takes one line: remove the line break"
    if not is_storable(typed) or HIDDEN.search(typed):
        return "has a character that nobody would see: type it anew"
    if kind is Kind.WORD and len(typed.split()) > 1:
        return "takes one word, without spaces"
    if kind is Kind.NUMBER and not _NUMBER.fullmatch(typed):
        return "takes a number, such as 12 or 3.50"
    return ""


def _changed(words: Notification, change: Callable[[str], str]) -> Notification:
    def text(one: Text | None) -> Text | None:
        return one and Text(subject=change(one.subject), content=change(one.content))

    return Notification(
        topic=words.topic,
        all=text(words.all),
        in_app=text(words.in_app),
        mobile=text(words.mobile),
        subtitle=words.subtitle and change(words.subtitle),
        link=words.link and change(words.link),
    )


def _blanks(words: Notification, declared: str) -> tuple[Blank, ...]:
    """Return the blanks as they come in the words, each of the kind that is declared for it."""
    texts = list(words.words())
    names: dict[str, str] = {}
    for match in (match for text in texts for match in _BLANK.finditer(text)):
        names.setdefault(_key(match[1]), " ".join(match[1].split()))
    if any(_BRACE.search(_BLANK.sub("", text)) for text in texts):
        raise NotReady(
            "Customers would read a brace of what is no blank: write a blank as {room}, with letters, digits"
            " and spaces, or remove the brace."
        )
    _refuse_alike("blank", names.values())
    kinds = _declared(declared)
    for key, blank in kinds.items():
        if key not in names:
            raise NotReady(
                f"The blank “{blank.name}” stands in no text: write {{{blank.name}}} where it belongs, or"
                " remove its line."
            )
    return tuple(
        kinds[key].model_copy(update={"name": name}) if key in kinds else Blank(name=name)
        for key, name in names.items()
    )


def _declared(typed: str) -> dict[str, Blank]:
    """Return the blanks for which a line says what may stand there, by the keys of their names."""
    found: dict[str, Blank] = {}
    for line in filter(str.strip, _BREAK.split(typed)):
        match = _DECLARED.fullmatch(line)
        if match is None:
            raise NotReady(
                f"The line “{shortened(line.strip(), _QUOTED)}” does not say what a blank takes: write one"
                " blank a line, such as “when: time” or “room: one of Gold, Silver”."
            )
        if _key(match[1]) in found:
            raise NotReady(f"The blank “{shortened(match[1], _QUOTED)}” has two lines: keep one.")
        found[_key(match[1])] = _declare(match[1], match[2])
    return found


def _declare(name: str, told: str) -> Blank:
    if one_of := _ONE_OF.fullmatch(told):
        return Blank(name=name, kind=Kind.CHOICE, choices=_choices(name, one_of[1]))
    try:
        kind = Kind(told.casefold().strip(" ."))
    except ValueError:
        kind = Kind.CHOICE
    if kind is Kind.CHOICE:
        raise NotReady(
            f"The blank “{shortened(name, _QUOTED)}” takes “{shortened(told, _QUOTED)}”, which is no kind:"
            " write word, line, number, time, or one of Gold, Silver."
        )
    return Blank(name=name, kind=kind)


def _choices(name: str, told: str) -> tuple[str, ...]:
    parts = _COMMA.split(told) if _COMMA.search(told) else _OR.split(told)
    choices = [_OR.sub("", part, count=1) if _OR.match(part) else part for part in map(str.strip, parts)]
    choices = [one for one in choices if one]
    if not 0 < len(choices) <= MOST_CHOICES:
        raise NotReady(f"The blank “{name}” has {len(choices)} choices; a list takes 1 to {MOST_CHOICES}.")
    for one in choices:
        if units(one) > CHOICE_LIMIT or is_blank(one) or HIDDEN.search(one):
            raise NotReady(
                f"The choice “{shortened(one, _QUOTED)}” of the blank “{name}” has to be at most"
                f" {CHOICE_LIMIT} characters, all of which can be seen."
            )
    _refuse_alike(f"choice of the blank “{name}”:", choices)
    return tuple(choices)


def _refuse_alike(what: str, names: Iterable[str]) -> None:
    try:
        refuse_alike(what, [[name] for name in names])
    except ValueError as alike:
        sentence = str(alike)
        raise NotReady(f"{sentence[0].upper()}{sentence[1:]}.") from None


def _key(name: str) -> str:
    """Return what two spellings of one blank's name have in common."""
    return " ".join(spelling(name).casefold().split())
