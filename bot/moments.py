"""What somebody typed as a time: read as one moment, as several that it may mean, or refused. Pure.

A wrong reading sends to thousands at a wrong time. So the words of a day go to a parser that knows several
languages, and what it returns is believed only if it behaves as such words must: a date stays where it is
when today is another day, "tomorrow" moves along, and "friday" moves by weeks.
"""

import unicodedata
from collections.abc import Callable, Iterator, Sequence, Set
from datetime import datetime, time, timedelta
from functools import partial
from typing import Final, NamedTuple

import regex

from bot.zones import instants, is_still, local_time, next_minute, written

# The languages in which times are tested; another one needs its words in the tables below.
LANGUAGES: Final = ("en", "de", "fr", "es", "pt", "it", "nl", "pl", "ru", "tr")
SOONEST: Final = timedelta(minutes=10)
LATEST: Final = timedelta(days=365)
MOST_MEANINGS: Final = 5

# "In 30 hours" is more easily written wrong than the day is.
_LONGEST_WAIT: Final = timedelta(hours=24)
_LONGEST_TEXT: Final = 60
# Five weeks and a day: no two words move by the same number of days.
_EARLIER: Final = timedelta(days=36)
_WEEK: Final = timedelta(days=7)
# What dateparser calls them; its types do not know the second.
_PERIODS: Final[Sequence[str | None]] = ("time", "part_of_day")
_MOST_OF_A_YEAR: Final = timedelta(days=300)
_BY_WEEKS: Final = (5 * _WEEK, 6 * _WEEK)
# Until then "tomorrow" may be the day that has begun.
_NIGHT_ENDS: Final = time(4)
# What is written without a zero may be meant for the afternoon where people write "6pm".
_LAST_DOUBTFUL_HOUR: Final = 7

_CLOCK: Final = regex.compile(
    r"(?i)(?<![\p{L}\p{N}:.,/-])(?P<hour>\d{1,2})"
    r"(?::(?P<minute>\d\d)|\s?h\s?(?P<minute>\d\d)|\.(?P<minute>\d\d)(?=\s?(?:uhr|[ap]\.?m\b))|(?=\s?(?:uhr|uur|h|hs|[ap]\.?m)\b))"
    r"\s?(?:(?P<half>[ap])\.?m\b\.?|(?:uhr|uur|hs?)\b)?(?![\p{L}\p{N}:/-])"
)
_FULL: Final = regex.compile(r"\d{4}[-/.]\d{1,2}[-/.]\d{1,2}")
_DOTTED: Final = regex.compile(r"\d{1,2}\.\s?\d{1,2}\.")
_PARTICLES: Final = frozenset({
    "at", "on", "the", "of", "um", "am", "den", "der", "à", "le", "la", "a", "las", "el", "o", "às",
    "na", "no", "em", "alle", "il", "ore", "om", "op", "w", "we", "в", "во", "saat",
})  # fmt: skip
_THIS: Final = frozenset({
    "this", "diesen", "dieser", "ce", "cet", "este", "esta", "neste", "nesta", "questo", "questa",
    "deze", "dit", "ten", "tę", "ta", "этот", "эту", "это", "bu",
})  # fmt: skip
_NEXT: Final = frozenset({
    "next", "coming", "nächsten", "nächster", "nächste", "kommenden", "prochain", "prochaine",
    "próximo", "próxima", "proximo", "proxima", "prossimo", "prossima", "volgende", "komende",
    "następny", "następna", "następną", "przyszły", "przyszłą", "przyszła", "следующий", "следующая",
    "следующую", "gelecek", "önümüzdeki",
})  # fmt: skip
# Before a span of hours, and never before what a clock shows.
_IN: Final = frozenset({
    "in", "dans", "en", "em", "tra", "fra", "over", "za", "через",
})  # fmt: skip

_UNREADABLE: Final = (
    "This is read as no time, or not for certain: write it like 18:30, tomorrow 9am, friday 18:00, in 2 hours"
    " or 2026-12-24 08:00"
)


class Moment(NamedTuple):
    """A time that was meant: `at` in UTC and whole minutes, when the clocks of `zone` show `local`."""

    at: datetime
    zone: str
    local: datetime
    typed: str

    def __str__(self) -> str:
        return written(self.at, self.zone)

    @property
    def stands(self) -> bool:
        """Tell whether it is still that time by the clocks there, or the rules of the zone have changed."""
        return is_still(self.local, self.at, self.zone)


class Meaning(NamedTuple):
    """One of several moments that may be meant, and how it is told from the others."""

    label: str
    moment: Moment


class Several(NamedTuple):
    """What was typed may mean one of these: it is for a person to say which, even if only one is possible."""

    meanings: Sequence[Meaning]
    sentence: str


class Refused(NamedTuple):
    """What was typed is no time, or none that is possible: in one sentence that says what to write."""

    sentence: str


class _Unreadable(Exception):
    """Why what was typed cannot be read, in a sentence without its full stop."""


class _ZoneNamed(_Unreadable):
    """There is what a language takes for a time zone."""


class _Clock(NamedTuple):
    """What a clock shall show, in more than one way where that is in doubt, and the words around it."""

    times: Sequence[time]
    words: str


class _Found(NamedTuple):
    """What a parser found, and whether a part of the day was named and no time."""

    at: datetime
    is_part: bool = False


# What words mean on some day.
_Parser = Callable[[str, datetime], _Found | None]
# The same at the time that is asked for.
_Days = Callable[[str, datetime], datetime | None]


def read(typed: str, *, now: datetime, zone: str, languages: Sequence[str]) -> Moment | Several | Refused:
    """Return what was typed as a moment by the clocks of `zone`; English is understood in any case.

    A moment lies between SOONEST and LATEST from `now`. ZoneInfoNotFoundError if there is no such zone.
    """
    base = next_minute(now)
    today = local_time(base, zone)
    try:
        spans, shown = _meant(_plain(typed), today, languages)
    except _Unreadable as why:
        return Refused(f"{why}.")
    meanings = [Meaning("", _moment(base + span, zone, typed)) for span in spans]
    doubts = ["This can be read in more than one way: which one is meant?"]
    for local in shown:
        on_clock = instants(local, zone)
        labels: Sequence[str] = ["", ""]
        if len(on_clock.instants) > 1:
            told = f"Clocks in {zone} are set %s then, and %s: which one is meant?"
            if on_clock.exists:
                labels = ["first", "second"]
                doubts.append(told % ("back", f"show {local:%H:%M} twice"))
            else:
                doubts.append(told % ("forward", f"never show {local:%H:%M}"))
        meanings += [
            Meaning(label, _moment(at, zone, typed))
            for label, at in zip(labels, on_clock.instants, strict=False)
        ]
    return _answer(meanings, doubts[-1], now)


def _moment(at: datetime, zone: str, typed: str) -> Moment:
    return Moment(at, zone, local_time(at, zone), typed)


def _answer(meanings: Sequence[Meaning], doubt: str, now: datetime) -> Moment | Several | Refused:
    """Return the only moment there is, or ask which of those that are possible."""
    told = {
        one.moment.at: Meaning(", the ".join(filter(None, (str(one.moment), one.label))), one.moment)
        for one in meanings
    }
    possible = [told[at] for at in sorted(told) if SOONEST <= at - now <= LATEST]
    if not possible:
        return Refused(
            f"That is {next(iter(told.values())).moment}: a time has to be at least"
            f" {SOONEST // timedelta(minutes=1)} minutes and at most {LATEST.days} days ahead."
        )
    if len(told) == 1:
        return possible[0].moment
    return Several(possible, doubt) if len(possible) <= MOST_MEANINGS else Refused(f"{_UNREADABLE}.")


def _plain(typed: str) -> str:
    """Return words in one form: digits of every script, full-width letters and blanks as on a keyboard."""
    words = " ".join(unicodedata.normalize("NFKC", typed).split())
    return regex.sub(r"(?<=\d)T(?=\d)", " ", "".join(str(unicodedata.decimal(one, one)) for one in words))


def _meant(
    text: str, today: datetime, languages: Sequence[str]
) -> tuple[Sequence[timedelta], Sequence[datetime]]:
    """Return the spans from now and the times on clocks that a text may mean, at least one of them."""
    if len(text) > _LONGEST_TEXT:
        raise _Unreadable(_UNREADABLE)
    clock = _clock(text, doubtful="en" in languages)
    around = {word.casefold() for word in clock.words.split()} if clock else set[str]()
    spans: list[timedelta] = []
    shown: list[datetime] = []
    refusal = _Unreadable(_UNREADABLE)
    for language in dict.fromkeys(["en", *languages]):
        try:
            # "18h" and "at 18h" are no spans, whatever the parser says.
            if clock is None or around - _PARTICLES:
                spans += _spans(text, today, _parser(language, "DMY"))
            # "In 2h" is no time on a clock.
            if clock and not (spans and around <= _IN):
                shown += (one for at in clock.times for one in _on_days(clock.words, at, today, language))
        except _ZoneNamed as why:
            # In another language it may be the name of a month.
            refusal = why
    if not spans and not shown:
        raise refusal
    return list(dict.fromkeys(spans)), list(dict.fromkeys(shown))


def _parser(language: str, order: str) -> _Parser:
    # It takes 20 MB and a sixth of a second, and few processes ever read a time.
    from dateparser.date import DateDataParser

    def parse(words: str, today: datetime) -> _Found | None:
        settings = {
            "RELATIVE_BASE": today,
            "PREFER_DATES_FROM": "future",
            "RETURN_TIME_AS_PERIOD": True,
            "DATE_ORDER": order,
            # Or else the machine's is asked for.
            "TIMEZONE": "UTC",
        }
        found = DateDataParser(languages=[language], settings=settings).get_date_data(words)
        if found.date_obj is None or found.period not in _PERIODS:
            return None
        if found.date_obj.tzinfo is not None:
            raise _ZoneNamed("Leave the time zone out: /notify timezone says by which clocks times are read")
        return _Found(found.date_obj, is_part=found.period != "time")

    return parse


def _spans(text: str, today: datetime, parse: _Parser) -> Iterator[timedelta]:
    """Yield how long from now is meant by "in 2 hours", which is later by a minute if it is said so."""
    minute = timedelta(minutes=1)
    then, later = parse(text, today), parse(text, today + minute)
    if then is None or later is None or later.at - then.at != minute:
        return
    span = then.at - today
    numbers = _numbers(text)
    hours, minutes = divmod(span // minute, 60)
    if span % minute or numbers not in ([], [hours], [span // minute], [hours, minutes]):
        return
    if timedelta(0) < span < _LONGEST_WAIT:
        yield span


def _clock(text: str, *, doubtful: bool) -> _Clock | None:
    """Return the one time of a clock in a text."""
    found = list(_CLOCK.finditer(text))
    if len(found) != 1:
        return None
    match = found[0]
    hour, minute, half = int(match["hour"]), int(match["minute"] or 0), (match["half"] or "").lower()
    if half and hour == 12 and not minute:
        raise _Unreadable("12 am and 12 pm are read in two ways: write 0:00 or 12:00")
    if hour > (12 if half else 23) or (half and not hour) or minute > 59:
        return None
    if half:
        hour = hour % 12 + (12 if half == "p" else 0)
    times = [time(hour, minute)]
    words = f"{text[: match.start()]} {text[match.end() :]}"
    is_short = regex.fullmatch(r"[1-9]:\d\d", match[0].strip()) is not None
    if doubtful and is_short and hour <= _LAST_DOUBTFUL_HOUR:
        times.append(time(hour + 12, minute))
    return _Clock(times, " ".join(words.split()).strip(" ,"))


def _on_days(words: str, shown: time, today: datetime, language: str) -> Iterator[datetime]:
    """Yield when a clock shows that time on the days that are meant by words of a language."""
    said = [word for word in words.split() if word.casefold() not in _PARTICLES]
    if not said:
        on_this_day = datetime.combine(today, shown)
        yield on_this_day if on_this_day >= today else on_this_day + timedelta(days=1)
        return
    turn = {word.casefold() for word in said} & (_THIS | _NEXT)
    bare = " ".join(word for word in said if word.casefold() not in turn)
    # As it stands first: what is a particle in one language is none in another.
    tried = [bare] if turn else list(dict.fromkeys([words, bare]))
    for order in _orders(words, language):
        on = partial(_on_clock, shown=shown, parse=_parser(language, order))
        understood = (days for one in tried if (days := list(_days(one, turn, today, on))))
        yield from next(understood, ())


def _orders(words: str, language: str) -> Sequence[str]:
    if _FULL.search(words):
        return ["YMD"]
    # Only English is written in both orders, and hardly with full stops.
    return ["DMY", "MDY"] if language == "en" and not _DOTTED.search(words) else ["DMY"]


def _on_clock(words: str, today: datetime, *, shown: time, parse: _Parser) -> datetime | None:
    """Return what words and a time mean, unless the parser found another time, or the words do not fit it."""
    found, alone = parse(f"{words} {shown:%H:%M}", today), parse(words, today)
    if found is None or found.is_part or found.at.time() != shown:
        return None
    # "Tonight 8:00" is not in the morning.
    return None if alone and alone.is_part and alone.at.hour // 12 != shown.hour // 12 else found.at


def _days(words: str, turn: Set[str], today: datetime, on: _Days) -> Iterator[datetime]:
    """Yield what may be meant by words of a day, if the parser treats them as such words must be.

    `turn` has "this" or "next" where one of these was said, which is sure of days of the week only.
    """
    then, before = on(words, today), on(words, today - _EARLIER)
    if then is None or before is None:
        return
    moved = then - before
    if moved in _BY_WEEKS:
        if len(words.split()) == 1 and not _numbers(words):
            yield from _weekdays(then, turn, today)
    elif not turn:
        yield from _dates(then, moved, words, today, on)


def _dates(then: datetime, moved: timedelta, words: str, today: datetime, on: _Days) -> Iterator[datetime]:
    """Yield what may be meant by a date, or by "tomorrow" and the like."""
    numbers = _numbers(words)
    if moved == timedelta(0):
        # A month is a number or a word: "5 a" says neither.
        has_month = len(numbers) > 1 or regex.search(r"\p{L}{3}", words)
        if has_month and _is_date(then, numbers) and _fits_weekday(words, then, today, on):
            yield then
    elif moved == _EARLIER:
        ahead = (then.date() - today.date()).days
        if numbers in ([], [ahead], [ahead / 7]):
            if ahead == 1 and today.time() < _NIGHT_ENDS:
                yield then - timedelta(days=1)
            yield then
    elif moved > _MOST_OF_A_YEAR and _is_date(then, numbers):
        # It has just passed: whoever does not mean the next year asks for what cannot be.
        yield then - moved
        yield then


def _numbers(words: str) -> list[int]:
    return [int(one) for one in regex.findall(r"\d+", words)]


def _is_date(then: datetime, numbers: Sequence[int]) -> bool:
    """Tell whether each number that was written is a part of a date, and one its day."""
    parts = [then.day, then.month, then.year]
    for number in numbers:
        if number in parts:
            parts.remove(number)
        elif number == then.year % 100 and then.year in parts:
            parts.remove(then.year)
        else:
            return False
    return then.day not in parts or then.day == then.month


def _fits_weekday(words: str, then: datetime, today: datetime, on: _Days) -> bool:
    """Tell whether no day of the week is named with the date, or the right one."""
    for word in regex.findall(r"\p{L}{2,}", words):
        found, before = on(word, today), on(word, today - _EARLIER)
        if found and before and found - before in _BY_WEEKS and found.weekday() != then.weekday():
            return False
    return True


def _weekdays(then: datetime, turn: Set[str], today: datetime) -> Iterator[datetime]:
    """Yield the days of that name that may be meant: on a Friday, and by "next friday", people disagree."""
    ahead = timedelta(days=(then.weekday() - today.weekday()) % 7)
    coming = then - timedelta(days=(then.date() - today.date()).days) + ahead
    if turn & _NEXT:
        first = coming if ahead else coming + _WEEK
        yield first
        # The one of next week, which begins on a Monday or on a Sunday.
        for begun in (today.weekday(), (today.weekday() + 1) % 7):
            begins = today.date() + _WEEK - timedelta(days=begun)
            yield first if first.date() >= begins else first + _WEEK
        return
    if turn or coming >= today:
        yield coming
    if not turn and not ahead:
        yield coming + _WEEK
