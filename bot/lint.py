"""What is likely a slip in words that customers read: each finding is one sentence. Pure."""

import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import date, datetime, timedelta
from typing import Final, NamedTuple

import regex

from bot.characters import isolated
from bot.notification import Notification
from bot.policy.fields import Severity
from bot.policy.model import Server
from bot.sentences import shortened

# So many examples stand in a sentence, of so many characters each.
_EXAMPLES: Final = 3
_EXAMPLE_LIMIT: Final = 30
# Where a day ends last.
_LAST_ZONE: Final = timedelta(hours=-12)
_YEAR: Final = timedelta(days=365)


class Finding(NamedTuple):
    """Something that is likely a slip; `kind` is the key of herald.toml by which it is judged."""

    kind: str
    sentence: str


class _Case(NamedTuple):
    """What is looked at: the texts, the addresses that were taken out of them, and what is known besides."""

    notification: Notification
    texts: Sequence[str]
    addresses: Sequence["_Address"]
    hosts: Sequence[str]
    is_trial: bool
    today: date


class _Address(NamedTuple):
    """An address in a text, with its scheme, if it has one, and its host."""

    written: str
    scheme: str
    host: str


class _Rule(NamedTuple):
    """A kind of slip, what finds it, and the sentence with a place for what was found."""

    kind: str
    find: Callable[[_Case], Iterable[str]]
    sentence: str


def findings(
    notification: Notification, server: Server, *, audience: str, severity: Severity, now: datetime
) -> list[Finding]:
    """Return what the server's policy judges with that severity, each kind of slip once."""
    kinds = server.lint.kinds(severity)
    if not kinds:
        return []
    named = server.audience(audience)
    typed = [words for _, text in notification.texts() for words in (text.subject, text.content)]
    typed += filter(None, [notification.subtitle])
    case = _Case(
        notification=notification,
        addresses=[*_addresses(typed)],
        # What stands in an address is no markup.
        texts=[_ADDRESS.sub("…", words) for words in typed],
        hosts=server.link_hosts,
        is_trial=named is not None and named.is_for_trials,
        today=(now + _LAST_ZONE).date(),
    )
    return [
        Finding(rule.kind, rule.sentence.replace("…", _told(found)))
        for rule in _RULES
        if rule.kind in kinds and (found := list(dict.fromkeys(rule.find(case))))
    ]


def _told(found: Sequence[str]) -> str:
    """Return the first of what was found, each on one line, and how many more there are."""
    shown = [isolated(shortened(" ".join(one.split()), _EXAMPLE_LIMIT)) for one in found[:_EXAMPLES]]
    more = len(found) - len(shown)
    return ", ".join(shown) + (f" and {more} more" if more else "")


def leftovers(notification: Notification) -> list[str]:
    """Return what looks like a blank that nobody filled, each once: customers would read it as it is."""
    found = (_BLANK.findall(unicodedata.normalize("NFKC", words)) for words in notification.words())
    return list(dict.fromkeys(one for some in found for one in some))


def _of(pattern: "regex.Pattern[str]") -> Callable[[_Case], Iterable[str]]:
    """Return what finds a pattern in the texts."""
    return lambda case: (match[0] for text in case.texts for match in pattern.finditer(text))


# {since}, {{name}}, [LINK], <name>, %name%, and a brace that is left alone; not what Discord makes of them.
_BLANK: Final = regex.compile(
    r"\{+[^{}\n]{0,60}\}*|\}+"
    r"|\[++[^\[\]\n]{0,60}?\p{L}[^\[\]\n]{0,60}\]++(?!\()"
    r"|<++(?!a?:\w+:\d|t:\d|/[\w -]+:\d)[^<>\n]{0,60}?\p{L}[^<>\n]{0,60}>+|%\p{L}[\w.]{0,60}%"
)
# "todo" alone is a word of Spanish.
_PLACEHOLDER: Final = regex.compile(
    r"(?i)(?<![\p{L}\p{N}])(?:lorem\s+ipsum|x{3,}|tb[ad]|asdf\p{L}*|qwert[yz]|foo ?bar|placeholder"
    r"|platzhalter|dummy ?text|лорем\s+ипсум|фыва\p{L}*|йцукен|لوريم\s+[إا]يبسوم|लोरेम\s+इप्सम)"
    r"(?![\p{L}\p{M}\p{N}])|(?-i:TODO:)|ダミーテキスト|_{3,}|[○◯]{2,}"
)
_MARKUP: Final = regex.compile(
    r"(\*{2,3}|__|~~|\|\|)(?=[^\s*_~|])[^\n]{0,200}?(?<!\s)\1"
    # A star or a line alone is part of faces, too: (*^_^*).
    r"|(?<![\w*])([*_])(?=[\p{L}\p{N}])[^*_\n]{0,200}?(?<=[\p{L}\p{M}\p{N}\p{P}])\2(?![\w*])"
    r"|(?<![\w`])(`{1,3})[^`]{1,200}\3(?![\w`])"
    r"|(?m:^)(?:#{1,3}|-#|>|>>>) (?=[^\s\d])\S+"
    r"|\[[^\[\]\n]{1,100}\]\([^()\s]{1,200}\)|<t:\d+(?::\w)?>"
)
_EMOJI: Final = regex.compile(
    r"<a?:\w+:\d+>|(?<![A-Za-z0-9]):(?![0-9_+~-]+:)[A-Za-z0-9_+~-]{1,32}:(?![A-Za-z0-9])"
)
_MENTION: Final = regex.compile(
    r"(?<![A-Za-z0-9.])@(?:everyone|here)(?!\.?[A-Za-z0-9])|<@[!&]?\d+>|<#\d+>|</[\w -]{1,60}:\d+>"
)
_SPACES: Final = regex.compile(r"(\S{1,20}+)[ \u00a0]{2,}(?=\S)")
# Cherokee is written in what Unicode calls capitals.
_CAPITAL: Final = r"[[\p{Lu}ß]--\p{Script=Cherokee}]"
_CAPITALS: Final = r"(?<![\p{L}\p{M}\p{N}])" + _CAPITAL + rf"[{_CAPITAL}\p{{M}}'\u2019]*+(?![\p{{L}}\p{{N}}])"
# Commas and strokes part abbreviations, which are no shouting.
_SHOUTING: Final = regex.compile(
    rf"(?V1){_CAPITALS}(?:[ \p{{N}}%!?.:&\"“”\u2013\u2014-]{{1,12}}+{_CAPITALS})*"
)
# More than a short word or two.
_SHORT: Final = 8
_TEST: Final = regex.compile(
    r"(?i)(?<![\p{L}\p{N}])(?:test|testing|testnachricht|тест|اختبار|टेस्ट|테스트|δοκιμή)(?![\p{L}\p{M}\p{N}])"
    r"|(?<![\p{Script=Katakana}ー])テスト(?![\p{Script=Katakana}ー])|测试(?!版)|測試(?!版)"
)
_LABELS: Final = r"(?:[a-z0-9-]{1,63}\.){1,8}"
# Where a full stop lacks its space, what follows is no address: so only what nobody writes as a word.
_ENDINGS: Final = r"(?:com|net|org|io|app|gg|dev|info|xyz|shop|link)"
_MORE_ENDINGS: Final = r"(?:ly|co|me|to|gd|cc|gl|at|is|id|be|eu|uk|us|de|fr|es|it|nl|ru|jp|in|ai|tv|so|gy|sh)"
_ADDRESS: Final = regex.compile(
    r"(?i)(?<![A-Za-z0-9@._+-])(?:(?<scheme>[a-z][a-z0-9+.-]{0,20})://(?:[^\s/?#@\\]{0,100}@)?"
    rf"(?<host>(?>{_LABELS}[a-z0-9-]{{2,63}})(?![.-]*[\p{{Latin}}\p{{Cyrillic}}\p{{Greek}}])|[\p{{L}}\p{{M}}\p{{N}}.-]+)"
    rf"|(?<host>{_LABELS}{_ENDINGS}(?![\w-])|{_LABELS}{_MORE_ENDINGS}(?=/\w)|www\.{_LABELS}[a-z]{{2,24}}))"
    r"(?::\d{1,5})?(?:[/?#\\][!-~--[\s<>()\[\]\"*|]]*)?",
    regex.VERSION1,
)
# What stands behind one of them may change, and nobody sees where it leads.
_SHORTENERS: Final = frozenset({
    "adf.ly", "amzn.to", "bit.ly", "bl.ink", "buff.ly", "clck.ru", "cutt.ly", "dlvr.it", "dub.sh", "goo.gl",
    "is.gd", "lnkd.in", "ow.ly", "rb.gy", "rebrand.ly", "s.id", "shorturl.at", "soo.gd", "t.co", "t.ly",
    "tiny.cc", "tinyurl.com", "trib.al", "u.to", "v.gd", "vk.cc", "x.gd",
})  # fmt: skip
_DATE: Final = regex.compile(
    r"(?<![\p{Nd}.-])(?:(?<y>\p{Nd}{4})-(?<m>\p{Nd}{2})-(?<d>\p{Nd}{2})"
    r"|(?<d>\p{Nd}{1,2})\. ?(?<m>\p{Nd}{1,2})\. ?(?<y>\p{Nd}{4})"
    r"|(?<y>\p{Nd}{4})年(?<m>\p{Nd}{1,2})月(?<d>\p{Nd}{1,2})日)(?!\p{Nd}|[.-]\p{Nd})"
)
_MONTHS: Final = {
    name: number
    for names in (
        "january february march april may june july august september october november december",
        "jan feb mar apr may jun jul aug sep oct nov dec",
        "januar februar märz april mai juni juli august september oktober november dezember",
        "janvier février mars avril mai juin juillet août septembre octobre novembre décembre",
        "enero febrero marzo abril mayo junio julio agosto septiembre octubre noviembre diciembre",
        "janeiro fevereiro março abril maio junho julho agosto setembro outubro novembro dezembro",
        "gennaio febbraio marzo aprile maggio giugno luglio agosto settembre ottobre novembre dicembre",
        "januari februari maart april mei juni juli augustus september oktober november december",
        "stycznia lutego marca kwietnia maja czerwca lipca sierpnia września października listopada grudnia",
        "января февраля марта апреля мая июня июля августа сентября октября ноября декабря",
        "जनवरी फ़रवरी मार्च अप्रैल मई जून जुलाई अगस्त सितंबर अक्टूबर नवंबर दिसंबर",
        "يناير فبراير مارس أبريل مايو يونيو يوليو أغسطس سبتمبر أكتوبر نوفمبر ديسمبر",
    )
    for number, name in enumerate(names.split(), 1)
}
_MONTH: Final = r"(?<month>[\p{L}\p{M}]{3,12})\.?"
_SPOKEN_DATE: Final = regex.compile(
    rf"(?i)(?<![\p{{Nd}}.-])(?:(?<d>\p{{Nd}}{{1,2}})(?:st|nd|rd|th|er|º|\.)? (?:de |of )?{_MONTH},? (?:de )?"
    rf"|{_MONTH} (?<d>\p{{Nd}}{{1,2}})(?:st|nd|rd|th)?,? )(?<y>\p{{Nd}}{{4}})(?!\p{{Nd}})"
)
_LATIN, _CYRILLIC, _GREEK = (rf"\p{{Script={name}}}" for name in ("Latin", "Cyrillic", "Greek"))
_BOTH: Final = "|".join(
    rf"(?=[\p{{L}}\p{{M}}]*{one})(?=[\p{{L}}\p{{M}}]*{other})"
    for one, other in ((_LATIN, _CYRILLIC), (_LATIN, _GREEK), (_CYRILLIC, _GREEK))
)
_MIXED: Final = regex.compile(rf"(?<![\p{{L}}\p{{M}}])(?:{_BOTH})[\p{{L}}\p{{M}}]+")
# VIPы and μm: an ending on a foreign name, and a unit, by letters that look like none of the other script.
_HARMLESS: Final = regex.compile(
    rf"{_LATIN}{{2,}}(?={_CYRILLIC}*[бвгджзийклмнптфцчшщъыьэюяёБГДЖЗИЙЛПФЦЧШЩЪЫЬЭЮЯ]){_CYRILLIC}{{1,4}}"
    rf"|[μΔΩπλσφψθΣ]{_LATIN}+|{_LATIN}+[μΔΩπλσφψθΣ]"
)


def _blanks(case: _Case) -> Iterable[str]:
    return leftovers(case.notification)


def _doubled_spaces(case: _Case) -> Iterator[str]:
    return (match[1] for text in case.texts for match in _SPACES.finditer(text))


def _shouted(case: _Case) -> Iterator[str]:
    stretches = _of(_SHOUTING)(case)
    return (one for one in stretches if sum(map(str.isalpha, one)) > _SHORT)


def _tests(case: _Case) -> Iterable[str]:
    return () if case.is_trial else _of(_TEST)(case)


def _addresses(typed: Iterable[str]) -> Iterator[_Address]:
    for match in (match for words in typed for match in _ADDRESS.finditer(words)):
        host = match["host"].lower().strip(".-")
        yield _Address(match[0].rstrip(".,;:!?'"), (match["scheme"] or "").lower(), host)


def _insecure(case: _Case) -> Iterator[str]:
    return (one.written for one in case.addresses if one.scheme not in {"", "https"})


def _unlisted(case: _Case) -> Iterator[_Address]:
    return (one for one in case.addresses if {one.host, one.host.removeprefix("www.")}.isdisjoint(case.hosts))


def _shortened(case: _Case) -> Iterator[str]:
    return (one.written for one in _unlisted(case) if one.host in _SHORTENERS)


def _strange(case: _Case) -> Iterator[str]:
    return (one.host for one in _unlisted(case) if one.host not in _SHORTENERS)


def _passed(case: _Case) -> Iterator[str]:
    for text in case.texts:
        for match in _DATE.finditer(text):
            written = _date(match["y"], match["m"], match["d"])
            if written is not None and written < case.today:
                yield match[0]
        for match in _SPOKEN_DATE.finditer(text):
            month = _MONTHS.get(match["month"].casefold(), 0)
            written = _date(match["y"], month, match["d"])
            # Of what is long ago people tell.
            if written is not None and case.today - _YEAR < written < case.today:
                yield match[0]


def _date(year: str, month: str | int, day: str) -> date | None:
    try:
        return date(int(year), int(month), int(day))
    except ValueError:
        return None


def _mixed(case: _Case) -> Iterator[str]:
    return (one for one in _of(_MIXED)(case) if not _HARMLESS.fullmatch(one))


_RULES: Final = (
    _Rule("placeholders", _of(_PLACEHOLDER), "Looks like a placeholder: …."),
    _Rule("blanks", _blanks, "Looks like a blank that nobody filled: …: customers would read it as it is."),
    _Rule("markup", _of(_MARKUP), "Discord's markup means nothing on a phone: …."),
    _Rule("emoji", _of(_EMOJI), "Discord's name of an emoji means nothing on a phone: …."),
    _Rule("mentions", _of(_MENTION), "A mention reaches nobody outside of Discord: …."),
    _Rule("spaces", _doubled_spaces, "There is more than one space after …."),
    _Rule("capitals", _shouted, "All capitals read like shouting: …."),
    _Rule("tests", _tests, "It speaks of a test, and goes to customers: …."),
    _Rule("links", _insecure, "An address that is not https: …."),
    _Rule("links", _shortened, "A shortened address hides where it leads: …."),
    _Rule("links", _strange, "An address of a host that link_hosts in herald.toml does not list: …."),
    _Rule("dates", _passed, "A date that has passed: …."),
    _Rule("letters", _mixed, "Letters of two scripts in one word: …."),
)
