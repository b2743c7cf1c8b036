"""What people type as a time is read as they mean it, asked for, or refused, and never guessed."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from datetime import time as time_of_day
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot import moments
from bot.moments import LANGUAGES, LATEST, MOST_MEANINGS, SOONEST, Moment, Refused, Several, read
from bot.zones import instants, local_time, zones
from tests.properties import examples
from tests.test_zones import MINUTES, changes

BERLIN = "Europe/Berlin"
# A Friday, at ten by the clocks in Berlin.
NOW = datetime(2026, 11, 27, 9, 0, tzinfo=UTC)
FRIDAY, SATURDAY, NEXT_FRIDAY = "2026-11-27", "2026-11-28", "2026-12-04"
EVE = "2026-12-24 08:00"


def told(typed: str, *languages: str, now: datetime = NOW, zone: str = BERLIN) -> list[str]:
    """Return what a text may mean by the clocks there; nothing if it is refused."""
    match read(typed, now=now, zone=zone, languages=languages or ["en"]):
        case Moment() as one:
            return [f"{one.local:%Y-%m-%d %H:%M}"]
        case Several(meanings):
            assert 0 < len(meanings) <= MOST_MEANINGS
            return ["?", *(f"{one.moment.local:%Y-%m-%d %H:%M}" for one in meanings)]
        case Refused(sentence):
            assert sentence.endswith(".")
            assert len(sentence) < 200
            return []


def possible(answer: Moment | Several | Refused) -> list[Moment]:
    """Return the moments among which a person may choose."""
    match answer:
        case Moment():
            return [answer]
        case Several(meanings):
            return [one.moment for one in meanings]
        case Refused():
            return []


# What is typed, and what it means in Berlin on the Friday: after "?" a person is asked.
READ: dict[str, dict[str, list[str]]] = {
    "en": {
        "18:30": [f"{FRIDAY} 18:30"],
        "6pm": [f"{FRIDAY} 18:00"],
        "at 6 p.m.": [f"{FRIDAY} 18:00"],
        "9:59": [f"{SATURDAY} 09:59"],
        "08:00": [f"{SATURDAY} 08:00"],
        "12:30 pm": [f"{FRIDAY} 12:30"],
        "tomorrow 9am": [f"{SATURDAY} 09:00"],
        "9 am tomorrow": [f"{SATURDAY} 09:00"],
        "Tomorrow at 09:00": [f"{SATURDAY} 09:00"],
        "tomorrow morning 9:00": [f"{SATURDAY} 09:00"],
        "tonight 20:00": [f"{FRIDAY} 20:00"],
        "today 18:00": [f"{FRIDAY} 18:00"],
        "day after tomorrow 18:00": ["2026-11-29 18:00"],
        "in 3 days at 18:00": ["2026-11-30 18:00"],
        "in 2 weeks 18:00": ["2026-12-11 18:00"],
        "saturday 6pm": [f"{SATURDAY} 18:00"],
        "next monday 10:00": ["2026-11-30 10:00"],
        "next friday 18:00": [f"{NEXT_FRIDAY} 18:00"],
        "this friday 18:00": [f"{FRIDAY} 18:00"],
        "friday 18:00": ["?", f"{FRIDAY} 18:00", f"{NEXT_FRIDAY} 18:00"],
        "18:00 on friday": ["?", f"{FRIDAY} 18:00", f"{NEXT_FRIDAY} 18:00"],
        "friday 9:00": [f"{NEXT_FRIDAY} 09:00"],
        "in 2 hours": [f"{FRIDAY} 12:00"],
        "in an hour": [f"{FRIDAY} 11:00"],
        "in 90 minutes": [f"{FRIDAY} 11:30"],
        "in 2 hours 30 minutes": [f"{FRIDAY} 12:30"],
        "in 2h": [f"{FRIDAY} 12:00"],
        "2026-12-24 08:00": [EVE],
        "2026-12-24T08:00": [EVE],
        "2026/12/24 8:00": [EVE],
        "２０２６-１２-２４ ０８:００": [EVE],
        "24.12. 8:00": [EVE],
        "24.12.2026 8:00": [EVE],
        "24.12.26, 8:00": [EVE],
        "24/12 8:00": [EVE],
        "12/24 8:00": [EVE],
        "dec 24 8am": [EVE],
        "24 December 2026 8am": [EVE],
        "Thu 24 Dec 8am": [EVE],
        "3.4. 18:00": ["2027-04-03 18:00"],
        "03/04 18:00": ["?", "2027-03-04 18:00", "2027-04-03 18:00"],
        "1/2/2027 18:00": ["?", "2027-01-02 18:00", "2027-02-01 18:00"],
        # By the other order the day has just passed.
        "11/12 18:00": ["?", "2026-12-11 18:00", "2027-11-12 18:00"],
        "24.10. 8:00": ["?", "2027-10-24 08:00"],
        "6:30": ["?", f"{FRIDAY} 18:30", f"{SATURDAY} 06:30"],
        "06:30": [f"{SATURDAY} 06:30"],
        "tomorrow 7:30": ["?", f"{SATURDAY} 07:30", f"{SATURDAY} 19:30"],
        "tonight 6:30": [f"{FRIDAY} 18:30"],
        "20h from now": ["?", f"{FRIDAY} 20:00", f"{SATURDAY} 06:00"],
    },
    "de": {
        "18.30 Uhr": [f"{FRIDAY} 18:30"],
        "6:30": [f"{SATURDAY} 06:30"],
        "morgen 9 Uhr": [f"{SATURDAY} 09:00"],
        "morgen um 9:00": [f"{SATURDAY} 09:00"],
        "übermorgen 18:00": ["2026-11-29 18:00"],
        "heute 18:00": [f"{FRIDAY} 18:00"],
        "am Freitag um 18 Uhr": ["?", f"{FRIDAY} 18:00", f"{NEXT_FRIDAY} 18:00"],
        "Sa 18:00": [f"{SATURDAY} 18:00"],
        "nächsten Montag 10:00": ["2026-11-30 10:00"],
        "diesen Freitag 18:00": [f"{FRIDAY} 18:00"],
        "in 2 Stunden": [f"{FRIDAY} 12:00"],
        "in einer Stunde": [f"{FRIDAY} 11:00"],
        "in 3 Tagen 18:00": ["2026-11-30 18:00"],
        "am 24.12. um 08:00": [EVE],
        "24. Dezember 8:00": [EVE],
        "3.12. 18:00": ["2026-12-03 18:00"],
        "tomorrow 9am": [f"{SATURDAY} 09:00"],
    },
    "fr": {
        "18h30": [f"{FRIDAY} 18:30"],
        "à 18h": [f"{FRIDAY} 18:00"],
        "demain 9h": [f"{SATURDAY} 09:00"],
        "demain à 9 h 30": [f"{SATURDAY} 09:30"],
        "après-demain 18:00": ["2026-11-29 18:00"],
        "aujourd'hui 18h": [f"{FRIDAY} 18:00"],
        "samedi à 18:00": [f"{SATURDAY} 18:00"],
        "lundi prochain 10:00": ["2026-11-30 10:00"],
        "ce vendredi à 18:00": [f"{FRIDAY} 18:00"],
        "dans 2 heures": [f"{FRIDAY} 12:00"],
        "dans 2h": [f"{FRIDAY} 12:00"],
        "dans une heure": [f"{FRIDAY} 11:00"],
        "le 24 décembre à 8h": [EVE],
        "mar 18:00": ["2026-12-01 18:00"],
    },
    "es": {
        "mañana a las 9:00": [f"{SATURDAY} 09:00"],
        "hoy 18:00": [f"{FRIDAY} 18:00"],
        "el sábado a las 18:00": [f"{SATURDAY} 18:00"],
        "próximo lunes 10:00": ["2026-11-30 10:00"],
        "en 2 horas": [f"{FRIDAY} 12:00"],
        "24 de diciembre 8:00": [EVE],
    },
    "pt": {
        "amanhã às 9h": [f"{SATURDAY} 09:00"],
        "hoje 18:00": [f"{FRIDAY} 18:00"],
        "sábado 18:00": [f"{SATURDAY} 18:00"],
        "próxima segunda-feira 10:00": ["2026-11-30 10:00"],
        "em 2 horas": [f"{FRIDAY} 12:00"],
        "24 de dezembro 8:00": [EVE],
    },
    "it": {
        "domani alle 9:00": [f"{SATURDAY} 09:00"],
        "oggi 18:00": [f"{FRIDAY} 18:00"],
        "sabato 18:00": [f"{SATURDAY} 18:00"],
        "lunedì prossimo 10:00": ["2026-11-30 10:00"],
        "tra 2 ore": [f"{FRIDAY} 12:00"],
        "24 dicembre 8:00": [EVE],
    },
    "nl": {
        "morgen om 9 uur": [f"{SATURDAY} 09:00"],
        "om 18 uur": [f"{FRIDAY} 18:00"],
        "vandaag 18:00": [f"{FRIDAY} 18:00"],
        "zaterdag 18:00": [f"{SATURDAY} 18:00"],
        "volgende maandag 10:00": ["2026-11-30 10:00"],
        "over 2 uur": [f"{FRIDAY} 12:00"],
        "24 december 8:00": [EVE],
    },
    "pl": {
        "jutro o 9:00": [f"{SATURDAY} 09:00"],
        "dzisiaj 18:00": [f"{FRIDAY} 18:00"],
        "w sobotę o 18:00": [f"{SATURDAY} 18:00"],
        "następny poniedziałek 10:00": ["2026-11-30 10:00"],
        "za 2 godziny": [f"{FRIDAY} 12:00"],
        "24 grudnia 8:00": [EVE],
    },
    "ru": {
        "завтра в 9:00": [f"{SATURDAY} 09:00"],
        "сегодня 18:00": [f"{FRIDAY} 18:00"],
        "в субботу в 18:00": [f"{SATURDAY} 18:00"],
        "через 2 часа": [f"{FRIDAY} 12:00"],
        "24 декабря 8:00": [EVE],
    },
    "tr": {
        "yarın saat 9:00": [f"{SATURDAY} 09:00"],
        "bugün 18:00": [f"{FRIDAY} 18:00"],
        "cumartesi 18:00": [f"{SATURDAY} 18:00"],
        "2 saat sonra": [f"{FRIDAY} 12:00"],
        "24 aralık 8:00": [EVE],
        # In English it is a time zone.
        "1 mart 8:00": ["2027-03-01 08:00"],
    },
}

# No time, not for certain one, or none that is possible.
REFUSED = """\

soon
5
1830
9
at 9
tomorrow
friday
2026-12-24
25:00
24:00
9:60
13pm
0am
12am
friday 12 pm
18:30:15
18:00-19:00
18:00 or 19:00
5 18:00
15 18:00
monday 8 18:00
march 18:00
friday or saturday 18:00
friday and saturday 18:00
not friday 18:00
every friday 18:00
jeden Freitag 18:00
fridays 18:00
weekend 18:00
next week 18:00
friday next week 18:00
friday the 13th 18:00
Fri 24 Dec 8am
friday 24.12. 8:00
24.12. 8:00 5
2026-02-30 08:00
31.11. 8:00
2026-13-01 08:00
20261224 08:00
tonight 8:00
tomorrow morning 18:00
18:00 UTC
18:00 PST
18:00 Berlin
2026-12-24T08:00:00+02:00
2026-12-24T08:00Z
now
10:00
10:09
in 9 minutes
in 25 hours
in 48 hours
in 3 days
2 hours ago
yesterday 18:00
last friday 18:00
2026-11-26 18:00
2025-12-24 08:00
2027-11-28 08:00
6pm 15 hours
in 2 months 18:00
18:00 2026
march in two 18:00
6pm a 5
3 9h
noon
half past six
halb 7
١٨
@everyone 18:00
"""


def test_times_are_read_as_people_mean_them_in_each_language() -> None:
    assert set(READ) == set(LANGUAGES)
    for language, texts in READ.items():
        for typed, meant in texts.items():
            assert told(typed, language) == meant, (language, typed)


def test_a_server_of_several_languages_understands_each() -> None:
    for language, texts in READ.items():
        for typed, meant in texts.items():
            if meant[:1] != ["?"] and language not in ("en", "fr"):
                assert meant[0] in told(typed, "de", language), (language, typed)


def test_what_is_no_time_for_certain_is_refused() -> None:
    for typed in REFUSED.splitlines():
        assert told(typed, "en", "de", "fr") == [], typed
    assert told("tomorrow " * 20 + "18:00") == []


def test_a_refusal_says_what_to_write() -> None:
    def sentence(typed: str) -> str:
        answer = read(typed, now=NOW, zone=BERLIN, languages=["en"])
        assert isinstance(answer, Refused)
        return answer.sentence

    assert "write it like 18:30" in sentence("soon")
    assert "/notify timezone" in sentence("18:00 UTC")
    assert "write 0:00 or 12:00" in sentence("12am")
    assert sentence("10:05") == (
        "That is Fri 27 Nov 2026 10:05 CET (Europe/Berlin): a time has to be at least 10 minutes and at most"
        " 365 days ahead."
    )


def test_a_time_is_kept_as_it_was_typed_and_in_whole_minutes() -> None:
    one = read(" In 2 hours", now=NOW + timedelta(seconds=1), zone=BERLIN, languages=[])
    assert isinstance(one, Moment)
    assert one.at == NOW + timedelta(hours=2, minutes=1)
    assert (one.typed, one.zone, one.stands) == (" In 2 hours", BERLIN, True)
    assert str(one) == "Fri 27 Nov 2026 12:01 CET (Europe/Berlin)"
    assert not one._replace(zone="Europe/Istanbul").stands


def test_both_choices_of_a_doubtful_local_time_are_offered() -> None:
    twice = read("25.10.2026 02:30", now=datetime(2026, 10, 1, tzinfo=UTC), zone=BERLIN, languages=[])
    assert isinstance(twice, Several)
    assert [(one.label, one.moment.at.hour) for one in twice.meanings] == [
        ("Sun 25 Oct 2026 02:30 CEST (Europe/Berlin), the first", 0),
        ("Sun 25 Oct 2026 02:30 CET (Europe/Berlin), the second", 1),
    ]
    assert (
        twice.sentence
        == "Clocks in Europe/Berlin are set back then, and show 02:30 twice: which one is meant?"
    )
    never = read("28.3.2027 02:30", now=NOW, zone=BERLIN, languages=[])
    assert isinstance(never, Several)
    assert [one.label for one in never.meanings] == [
        "Sun 28 Mar 2027 01:30 CET (Europe/Berlin)",
        "Sun 28 Mar 2027 03:30 CEST (Europe/Berlin)",
    ]
    assert "set forward then, and never show 02:30" in never.sentence


def test_a_button_has_room_for_each_meaning() -> None:
    zone = max(zones(), key=len)
    several = read("friday 18:00", now=NOW, zone=zone, languages=[])
    assert isinstance(several, Several)
    assert all(len(f"{one.label}, the second") <= 80 for one in several.meanings)


def test_a_span_lasts_as_long_as_it_says_while_clocks_are_set() -> None:
    for zone, at in changes()[::10]:
        one = read("in 3 hours", now=at - timedelta(hours=1), zone=zone, languages=[])
        assert isinstance(one, Moment)
        assert one.at == at + timedelta(hours=2), zone


def test_in_the_night_tomorrow_may_be_the_day_that_has_begun() -> None:
    late = datetime(2026, 11, 27, 23, 30, tzinfo=UTC)
    assert told("tomorrow 9am", now=late) == ["?", "2026-11-28 09:00", "2026-11-29 09:00"]
    assert told("tomorrow 9am", now=late + timedelta(hours=4)) == ["2026-11-29 09:00"]


def test_next_is_asked_for_where_people_disagree() -> None:
    tuesday = NOW - timedelta(days=3)
    assert told("next friday 18:00", now=tuesday) == ["?", "2026-11-27 18:00", "2026-12-04 18:00"]
    assert told("vendredi prochain 18:00", "fr", now=tuesday) == told("next friday 18:00", now=tuesday)
    assert told("next tuesday 18:00", now=tuesday) == ["2026-12-01 18:00"]
    assert told("next sunday 18:00", now=tuesday) == ["?", "2026-11-29 18:00", "2026-12-06 18:00"]


@given(st.sampled_from(changes()), st.sampled_from(MINUTES))
@examples(50)
def test_a_written_time_is_what_the_clocks_there_show_around_each_change(
    change: tuple[str, datetime], minutes: int
) -> None:
    zone, at = change
    local = local_time(at, zone) + timedelta(minutes=minutes)
    answer = read(f"{local:%Y-%m-%d %H:%M}", now=at - timedelta(days=9), zone=zone, languages=[])
    meanings = possible(answer)
    on_clock = instants(local, zone)
    assert [one.at for one in meanings] == on_clock.instants
    assert all(one.stands and (one.local == local) == on_clock.exists for one in meanings)


MONTHS = {
    "en": "January February March April May June July August September October November December",
    "de": "Januar Februar März April Mai Juni Juli August September Oktober November Dezember",
    "fr": "janvier février mars avril mai juin juillet août septembre octobre novembre décembre",
    "es": "enero febrero marzo abril mayo junio julio agosto septiembre octubre noviembre diciembre",
    "pt": "janeiro fevereiro março abril maio junho julho agosto setembro outubro novembro dezembro",
    "it": "gennaio febbraio marzo aprile maggio giugno luglio agosto settembre ottobre novembre dicembre",
    "nl": "januari februari maart april mei juni juli augustus september oktober november december",
    "pl": "stycznia lutego marca kwietnia maja czerwca lipca sierpnia września października listopada"
    " grudnia",
    "ru": "января февраля марта апреля мая июня июля августа сентября октября ноября декабря",
    "tr": "Ocak Şubat Mart Nisan Mayıs Haziran Temmuz Ağustos Eylül Ekim Kasım Aralık",
}
WAYS = (
    "%Y-%m-%d %H:%M", "%d.%m.%Y %H:%M", "%d.%m. %H:%M", "%d/%m %H:%M", "%m/%d/%Y %H:%M", "%H:%M %d-%m-%Y",
    "%Y/%m/%d %I:%M %p", "%d {month} %H:%M", "%d. {month} %Y %H:%M", "{month} %d %I:%M%p",
    "%H:%M, %d {month} %Y",
)  # fmt: skip
START = datetime(2026, 1, 1)  # noqa: DTZ001


@given(
    st.integers(0, 2 * 365), st.integers(1, 364), st.integers(0, 24 * 60 - 1), st.sampled_from(WAYS),
    st.sampled_from(sorted(MONTHS)),
)  # fmt: skip
@examples(100)
def test_a_date_in_words_or_numbers_is_never_read_as_another_day(
    began: int, days: int, minutes: int, way: str, language: str
) -> None:
    today = START + timedelta(days=began, hours=9)
    meant = (today + timedelta(days=days)).replace(hour=0) + timedelta(minutes=minutes)
    month = MONTHS[language].split()[meant.month - 1]
    typed = meant.strftime(way.replace("{month}", month))
    found = told(typed, language, now=today.replace(tzinfo=UTC), zone="UTC")
    if found:
        assert f"{meant:%Y-%m-%d %H:%M}" in found, typed
    else:
        # Noon and midnight in English.
        assert "12:" in typed, typed


DAYS = "monday tuesday wednesday thursday friday saturday sunday".split()  # noqa: SIM905


@given(
    st.integers(0, 2 * 365),
    st.integers(0, 24 * 60 - 1),
    st.integers(0, 6),
    st.sampled_from(["", "next ", "this "]),
)
@examples(50)
def test_a_day_of_the_week_is_the_coming_one_or_asked_for(
    began: int, minutes: int, day: int, turn: str
) -> None:
    today = START + timedelta(days=began, minutes=minutes)
    found = told(f"{turn}{DAYS[day]} 18:00", now=today.replace(tzinfo=UTC), zone="UTC")
    dates = [date.fromisoformat(one[:10]) for one in found if one != "?"]
    assert all(one.weekday() == day and (one - today.date()).days <= 14 for one in dates)
    ahead = (day - today.weekday()) % 7
    if not turn and ahead:
        assert dates == [today.date() + timedelta(days=ahead)]
    if not turn and not ahead and today.hour < 17:
        assert len(dates) == 2
    if turn == "next ":
        assert today.date() not in dates
        assert dates


WORDS = (
    "18:30", "6pm", "9h", "9 Uhr", "5", "24.12.", "12/24", "2026", "friday", "samedi", "morgen", "tomorrow",
    "in", "next", "at", "or", "and", "hours", "days", "2", "not", "dec", "mar", "UTC", "-", ",", "évery",
    "\ud800", "年",
)  # fmt: skip


@given(st.lists(st.sampled_from(WORDS), max_size=5).map(" ".join) | st.text(max_size=30))
@examples(100)
def test_whatever_is_typed_is_possible_or_refused(typed: str) -> None:
    answer = read(typed, now=NOW, zone=BERLIN, languages=["de", "fr"])
    if isinstance(answer, Refused):
        return
    meanings = possible(answer)
    assert meanings
    for one in meanings:
        assert SOONEST <= one.at - NOW <= LATEST
        assert (one.at.second, one.at.microsecond, one.at.tzinfo) == (0, 0, UTC)
        assert one.stands


def test_the_clock_of_the_machine_and_its_zone_mean_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = ["tomorrow 9am", "friday 18:00", "in 2 hours", "24.12. 8:00"]
    before = [told(typed) for typed in texts]
    monkeypatch.setitem(os.environ, "TZ", "Pacific/Apia")
    time.tzset()
    try:
        assert [told(typed) for typed in texts] == before
    finally:
        monkeypatch.undo()
        time.tzset()


@pytest.mark.parametrize(("clock", "is_read"), [(time_of_day(18), True), (time_of_day(19), False)])
def test_a_parser_that_finds_another_time_than_stands_there_is_not_believed(
    monkeypatch: pytest.MonkeyPatch, clock: time_of_day, is_read: bool
) -> None:
    def parser(_language: str, _order: str) -> Callable[[str, datetime], Any]:
        def parse(words: str, today: datetime) -> Any:
            day = datetime.combine(today.date() + timedelta(days=1), clock)
            return moments._Found(day, is_part=False) if ":" in words else None  # pyright: ignore[reportPrivateUsage]

        return parse

    monkeypatch.setattr(moments, "_parser", parser)
    assert isinstance(read("tomorrow 18:00", now=NOW, zone=BERLIN, languages=["en"]), Moment) is is_read


def test_a_machine_whose_zone_nobody_knows_reads_times_too() -> None:
    # Libraries ask for the machine's zone once in a process.
    script = f"from tests.test_moments import told; assert told('tomorrow 9am') == {told('tomorrow 9am')!r}"
    subprocess.run(
        [sys.executable, "-c", script],
        cwd=Path(__file__).parent.parent,
        env={**os.environ, "TZ": "Odd/Zone"},
        check=True,
    )


def test_a_process_that_reads_no_time_does_without_the_parser() -> None:
    script = "import sys, bot.moments, bot.service; sys.exit('dateparser' in sys.modules)"
    assert (
        subprocess.run(
            [sys.executable, "-c", script], cwd=Path(__file__).parent.parent, check=False
        ).returncode
        == 0
    )
