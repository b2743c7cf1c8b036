"""Likely slips in the words are told in one sentence each, in whatever script, and plain words have none."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.lint import Finding, findings
from bot.notification import Notification, Text
from bot.policy.fields import Severity
from bot.policy.model import Lint, Server
from bot.sandbox.sandbox import UNDONE, Sandbox, answer, button_labels, readable, response
from tests.conftest import OpenSandbox
from tests.harness.found import only
from tests.harness.policy import ONE, audience, parsed, server
from tests.test_composing import edit, prefilled

NOW = datetime(2026, 11, 28, 11, 0, tzinfo=UTC)
PEOPLE = '[[server.audience]]\nname = "Testers"\ntargets.users = ["user_maya", "user_omar"]\n'
TEAM = '[[server.audience]]\nname = "Team"\ntargets.team = "biz_sunrise"\n'


def judged_by(**severities: str) -> Server:
    """Return a server with these severities; what it does not name is warned of."""
    lines = "".join(f'{kind} = "{severity}"\n' for kind, severity in severities.items())
    text = server(f"[server.lint]\n{lines}", ONE, PEOPLE, TEAM, audience("Chat", "exp_chat"))
    return only(parsed(text).servers)


DEFAULT = judged_by()


def look(
    content: str,
    *,
    by: Server = DEFAULT,
    to: str = "One",
    severity: Severity = "warn",
    now: datetime = NOW,
    **more: Any,
) -> list[Finding]:
    words = Notification(topic="news", all=Text(subject="…", content=content), **more)
    return findings(words, by, audience=to, severity=severity, now=now)


# The kind of slip, the words, and what the sentence names of them.
SLIPS = [
    # English
    ("placeholders", "Lorem ipsum dolor sit amet", "Lorem ipsum"),
    ("placeholders", "The price is TBD, see you at xxx", "TBD, xxx"),
    ("placeholders", "asdfasdf", "asdfasdf"),
    ("placeholders", "Doors open at ____ sharp", "____"),
    ("blanks", "Hi {name}, look at [LINK]!", "{name}, [LINK]"),
    ("markup", "**BIG** news, ~~50~~ 40, ||secret||, __now__", "**BIG**, ~~50~~, ||secret|| and 1 more"),
    ("markup", "It is *really* here, and _soon_", "*really*, _soon_"),
    ("markup", "Use `GOLD` today", "`GOLD`"),
    ("markup", "# News\nAll is well", "# News"),
    ("markup", "Maya says:\n> Come in", "> Come"),
    ("markup", "Press [here](https://whop.com/gold) now", "[here](…)"),
    ("markup", "Doors open <t:1796000000:R>", "<t:1796000000:R>"),
    ("emoji", "We are live :tada::wave:", ":tada:, :wave:"),
    ("emoji", "Nice <:pepe:104900000000000001> one", "<:pepe:104900000000000001>"),
    ("mentions", "Hey @everyone, ask <@104900000000000001>", "@everyone, <@104900000000000001>"),
    ("mentions", "Look into <#104900000000000001>, <@&104900000000000002>", "<#104900000000000001>"),
    ("spaces", "The stream  starts now", "stream"),
    ("capitals", "HURRY UP, THE SALE ENDS TODAY", "THE SALE ENDS TODAY"),
    ("tests", "This is a test, please ignore", "test"),
    ("links", "See http://whop.com/gold", "http://whop.com/gold"),
    ("links", "See https://bit.ly/3xyz.", "bit.ly/3xyz."),
    ("links", "See evil.example.com/gold", "does not list: evil.example.com."),
    ("links", "See https://whop.com@evil.example/gold", "does not list: evil.example."),
    ("links", "See https://whop.com.evil.рф", "does not list: whop.com.evil.рф."),
    ("dates", "Offer ends 2026-11-26, hurry", "2026-11-26"),
    ("dates", "Offer ends November 26, 2026", "November 26, 2026"),
    ("dates", "Until the 26th of Nov 2026!", "26th of Nov 2026"),
    ("letters", "Log in to Whоp", "Whоp"),
    ("letters", "Your pαypal account", "pαypal"),
    # German
    ("placeholders", "Hier steht ein Platzhalter", "Platzhalter"),
    ("blanks", "Liebe Grüße, <Name>", "<Name>"),
    ("markup", "Heute **für alle Größen** gratis", "**für alle Größen**"),
    ("spaces", "Schöne  Grüße", "Schöne"),
    ("capitals", "GROßE ERÖFFNUNG", "GROßE ERÖFFNUNG"),
    ("tests", "Nur ein Test!", "Test"),
    ("links", "Mehr auf www.boese.de", "does not list: www.boese.de."),
    ("dates", "Nur bis zum 1.11.2026", "1.11.2026"),
    ("dates", "Am 3. 2. 2025 ging es los", "3. 2. 2025"),
    ("dates", "Nur bis 1. November 2026", "1. November 2026"),
    ("letters", "Geld zurüсk", "zurüсk"),
    # French
    ("blanks", "Bonjour [Prénom]", "[Prénom]"),
    ("markup", "C’est __très__ simple", "__très__"),
    ("emoji", "Bonne fête :fete: à tous", ":fete:"),
    ("spaces", "À  bientôt", "À"),
    ("capitals", "DERNIÈRE ÉTAPE", "DERNIÈRE ÉTAPE"),
    ("tests", "Ceci est un test.", "test"),
    ("dates", "Jusqu’au 1er août 2026", "1er août 2026"),
    ("letters", "Votre cоmpte", "cоmpte"),
    # Spanish
    ("placeholders", "Precio: xxx €", "xxx"),
    ("blanks", "Hola, %nombre%", "%nombre%"),
    ("mentions", "¡Atención, @here!", "@here"),
    ("capitals", "¡ÚLTIMA OPORTUNIDAD!", "ÚLTIMA OPORTUNIDAD"),
    ("tests", "Esto es un test", "test"),
    ("dates", "Hasta el 12.10.2026", "12.10.2026"),
    ("dates", "Hasta el 12 de octubre de 2026", "12 de octubre de 2026"),
    # Russian
    ("placeholders", "Лорем ипсум", "Лорем ипсум"),
    ("blanks", "Здравствуйте, {имя}!", "{имя}"),
    ("markup", "Это **важно**", "**важно**"),
    ("mentions", "Всем привет, @everyone", "@everyone"),
    ("spaces", "Добрый  день", "Добрый"),
    ("capitals", "СРОЧНАЯ НОВОСТЬ", "СРОЧНАЯ НОВОСТЬ"),
    ("tests", "Это тест", "тест"),
    ("links", "Смотрите https://пример.рф/x", "does not list: пример.рф."),
    ("dates", "Только до 01.11.2026!", "01.11.2026"),
    ("dates", "Только до 1 ноября 2026", "1 ноября 2026"),
    ("letters", "Привeт всем", "Привeт"),
    ("letters", "Скидка для Whoр", "Whoр"),
    # Greek
    ("capitals", "ΤΕΛΕΥΤΑΙΑ ΕΥΚΑΙΡΙΑ", "ΤΕΛΕΥΤΑΙΑ ΕΥΚΑΙΡΙΑ"),
    ("letters", "Καλημέρa", "Καλημέρa"),
    # Arabic
    ("placeholders", "لوريم إيبسوم", "لوريم إيبسوم"),
    ("blanks", "مرحبا {الاسم}", "{الاسم}"),
    ("markup", "هذا **مهم** جدا", "**مهم**"),
    ("emoji", "مبروك :tada:", ":tada:"),
    ("mentions", "مرحبا @everyone", "@everyone"),
    ("spaces", "صباح  الخير", "صباح"),
    ("tests", "هذا اختبار فقط", "اختبار"),
    ("links", "انظر http://whop.com", "http://whop.com"),
    ("dates", "حتى ١ نوفمبر ٢٠٢٦", "١ نوفمبر ٢٠٢٦"),
    ("dates", "حتى ٢٠٢٦-١١-٠١", "٢٠٢٦-١١-٠١"),
    # Hindi
    ("placeholders", "लोरेम इप्सम", "लोरेम इप्सम"),
    ("blanks", "नमस्ते [नाम]", "[नाम]"),
    ("markup", "यह **ज़रूरी** है", "**ज़रूरी**"),
    ("spaces", "आप  कैसे हैं", "आप"),
    ("tests", "यह एक टेस्ट है", "टेस्ट"),
    ("dates", "अंतिम तिथि १ नवंबर २०२६", "१ नवंबर २०२६"),
    ("dates", "अंतिम तिथि ०१.११.२०२६", "०१.११.२०२६"),
    # Japanese
    ("placeholders", "○○さん、こんにちは", "○○"),
    ("blanks", "｛名前｝さんへ", "{名前}"),
    ("markup", "本日は**無料**です", "**無料**"),
    ("emoji", "開始しました:tada:です", ":tada:"),
    ("mentions", "皆さん@everyone、お知らせです", "@everyone"),
    ("tests", "これはテストです", "テスト"),
    ("links", "詳しくはhttps://bit.ly/abcをご覧ください", "https://bit.ly/abc"),
    ("dates", "締切は2026年11月1日です", "2026年11月1日"),
    # Chinese and Korean
    ("markup", "今天**免费**", "**免费**"),
    ("tests", "这是测试", "测试"),
    ("tests", "테스트 메시지입니다", "테스트"),
]

PLAIN = """\
We are live: the stream starts now. Come in!
Doors open at 18:30, the show starts at 19:00.
Your VIP pass is ready, see the FAQ for more.
I <3 you all; 5 < 6 > 2, isn't it?
Save 50 % until Friday, or 10 % off (and more) with code WINTER20.
*Terms apply, see whop.com for details.
New: USB-C, HDMI, USA, UK, UAE, EU and NASA in one quiz.
Write to support@example.org if it doesn't work.
Read more at https://whop.com/gold?from=push&x=__a__.
Chapters I, II, III, IV, V and VI are out.
The contest, the latest attestation and our testimonials are online.
Version 2.0.1 fixes what 1.9 broke, e.g. the sound.
Rated #1 by you \N{EN DASH} thank you so much! 🎉
It’s 7 a.m. in New York and 1 p.m. in Berlin; rock 'n' roll.
See you on 2026-12-24 at 8 p.m., or on 2026-11-28.
We began on 3 May 2019, and go on until December 24, 2026.
Learn Node.js, C++ and A/B basics in a week...
Guten Morgen! Der Kurs beginnt um 9:00 Uhr.
Größere Räume, kürzere Wege: z. B. am Bahnhof, u. a. in Köln.
Bis zum 24.12.2026 gibt es 20 % auf alles.
Die neue EU-Verordnung gilt ab 1.1.2027.
Nur noch 3 Plätze frei (Stand: heute).
Der PDF-Export und die CSV-Datei sind fertig.
Das „Café am See“ öffnet wieder, und/oder der Kiosk.
Testament, Protest und Attest: drei neue Folgen.
Fußball heute um 20:15 Uhr, live.
Die Straße ist wieder frei; danke für eure Geduld!
Herzlichen Glückwunsch, ihr seid dabei! 🥳
Antworten bitte an hallo@beispiel.de.
Bonjour à tous\N{NO-BREAK SPACE}! Le direct commence à 18\N{NO-BREAK SPACE}h\N{NO-BREAK SPACE}30.
L’essai gratuit dure 14 jours, profitez-en\N{NO-BREAK SPACE}!
«\N{NO-BREAK SPACE}Le Grand Bleu\N{NO-BREAK SPACE}» revient vendredi.
Aujourd’hui, −20 % sur les abonnements.
Ça y est, la mise à jour est là\N{NO-BREAK SPACE}: 3 nouveautés.
Merci d’être là, à très vite.
Le TGV part à 7 h, la SNCF confirme.
N’oubliez pas\N{NO-BREAK SPACE}: le cours est à midi.
L’équipe vous répond de 9 h à 17 h.
Où êtes-vous\N{NO-BREAK SPACE}? Nous vous attendons.
La contestation est close, le résultat arrive.
Rendez-vous le 24.12.2026 au café.
¡Hola! Empezamos en cinco minutos.
Todo listo para mañana a las 9:00.
La prueba gratuita termina el viernes.
¿Tienes dudas? Escríbenos a ayuda@ejemplo.es.
Ahorra un 20 % con tu carné de la UE.
El niño, la cigüeña y el pingüino: nuevo capítulo.
Nos vemos el 24.12.2026 en Cádiz.
El señor García responde esta tarde.
Gracias por vuestra paciencia, ya funciona.
La protesta y el contestador: dos relatos.
Quedan 3 plazas; ¡date prisa!
Más información en whop.com, como siempre.
Доброе утро! Эфир начинается в 18:30.
Скидка 20 % до пятницы, успейте.
Новый iPhone и VIPы уже здесь.
IT-специалисты и PDFки: всё в одном месте.
Протестировали и улучшили: стало быстрее.
Встречаемся 24.12.2026 в Москве.
США, ЕС и НАТО: разбор за неделю.
Спасибо, что вы с нами! 🎉
Ёлка, ёж и щука ждут вас.
Пишите на почту: pomosh@example.ru.
Приложение обновлено до версии 2.1.
«Война и мир»: первая встреча клуба сегодня.
Добрий вечір, їжаче! Ґанок відчинено.
Датчик на 5 kΩ и лента в 30 μm снова в продаже.
صباح الخير! يبدأ البث الآن.
خصم ٢٠٪ حتى يوم الجمعة.
شكرا لكم على صبركم، كل شيء يعمل.
موعدنا يوم ٢٠٢٦-١٢-٢٤ في القاهرة.
هل لديكم أسئلة؟ اكتبوا إلينا.
الدورة الجديدة متاحة لأعضاء VIP.
تطبيق الـiPhone محدث الآن.
مُحَمَّدٌ يجيب عن أسئلتكم مساءً.
می‌خواهم بدانم: جلسه ساعت ۱۸ است.
نلتقي في الساعة 18:30 بتوقيت مكة.
שלום לכולם! השידור מתחיל עכשיו.
नमस्ते! प्रसारण अब शुरू होता है।
शुक्रवार तक २० % की छूट।
आपके धैर्य के लिए धन्यवाद।
नया पाठ WhatsApp पर भी है।
कक्षा सुबह ९:०० बजे है।
क्या आपके सवाल हैं? हमें लिखिए।
२४.१२.२०२६ को दिल्ली में मिलते हैं।
सब कुछ फिर से ठीक है! 🎉
परीक्षा के नतीजे आ गए हैं।
दीपावली की शुभकामनाएँ, क्‍षमा करें।
おはようございます！配信が始まりました。
金曜日まで20％オフです。
TシャツとiPhoneケースが入荷しました。
ベータテスター募集中、コンテストもあります。
ありがとうございます(*^_^*) m(_ _)m
第２回は18:30からです～。
2026年12月24日に東京で会いましょう。
詳しくはhttps://whop.com/goldをご覧ください。
お問い合わせは「よくある質問」へ。
ＶＩＰの皆さま、お待たせしました。
二〇〇〇年からの歩み、第一回。
大家好！直播现在开始。
周五之前八折，欢迎加入VIP。
新的测试版已经上线。
안녕하세요! 방송이 지금 시작됩니다.
금요일까지 20% 할인입니다.
Καλημέρα! Ξεκινάμε στις 18:30.
Η ΕΕ και ο ΟΗΕ: νέο επεισόδιο.
İyi akşamlar, ışıklar açık; yayın başlıyor.
Chào buổi sáng! Buổi học bắt đầu lúc 9:00.
""".splitlines()


def test_each_slip_is_found_in_whatever_script_and_nothing_else_is() -> None:
    for kind, words, named in SLIPS:
        found = look(words)
        assert {one.kind for one in found} == {kind}, (words, found)
        assert any(named in re.sub("[\u2068\u2069]", "", one.sentence) for one in found), found


def test_each_kind_of_slip_is_in_the_table_and_in_the_policy() -> None:
    # What others say is looked up elsewhere.
    assert {kind for kind, _, _ in SLIPS} == set(Lint.model_fields) - {"repeats"}


def test_plain_words_have_no_finding() -> None:
    assert len(PLAIN) >= 100
    assert [(words, found) for words in PLAIN if (found := look(words))] == []
    assert look("\n".join(PLAIN)) == []


def test_a_slip_is_told_once_in_one_sentence_with_the_first_examples() -> None:
    found = look("@everyone @here @everyone <@1> <@2> <@3>")
    assert found == [
        Finding("mentions", "A mention reaches nobody outside of Discord: @everyone, @here, <@1> and 2 more.")
    ]
    assert len(only(look("{" + "y" * 60 + "}")).sentence) < 120


def test_a_slip_in_any_of_the_texts_is_found() -> None:
    two = Notification(
        topic="news",
        in_app=Text(subject="A **b**", content="c"),
        mobile=Text(subject="d", content="@here"),
        subtitle="e  f",
    )
    found = findings(two, DEFAULT, audience="One", severity="warn", now=NOW)
    assert [one.kind for one in found] == ["markup", "mentions", "spaces"]


def test_a_blank_in_the_link_is_found_and_nothing_else_of_it() -> None:
    assert only(look("a", link="https://whop.com/{slug}/__x__")).kind == "blanks"


def test_the_word_test_means_nothing_where_no_customer_gets_it() -> None:
    assert [bool(look("A test", to=name)) for name in ("One", "Chat", "gone", "Testers", "Team")] == [
        True, True, True, False, False,
    ]  # fmt: skip


def test_a_day_has_passed_once_it_is_over_everywhere() -> None:
    ends = datetime(2026, 11, 29, 12, 0, tzinfo=UTC)
    assert look("Until 2026-11-28", now=ends - timedelta(seconds=1)) == []
    assert only(look("Until 2026-11-28", now=ends)).sentence == "A date that has passed: 2026-11-28."
    assert look("Until 28 November 2026", now=ends - timedelta(seconds=1)) == []
    assert only(look("Until 28 November 2026", now=ends)).kind == "dates"
    assert look("On 31 April 2026, 5 apples 2026, episode 12 of 2025, or 1 maybe 2026") == []
    assert look("On 31.2.2026 or 0.0.0000, by 192.168.1.1.2020, at 99.99.2020") == []


def test_a_listed_host_is_no_finding_however_it_is_written() -> None:
    text = server('[server.lint]\ncapitals = "off"', ONE).replace(
        "[server.roles]", 'link_hosts = ["go.example", "bit.ly"]\n[server.roles]'
    )
    by = only(parsed(text).servers)
    known = "go.example, https://go.example/x, www.go.example/y, HTTPS://GO.EXAMPLE, https://bit.ly/x"
    assert look(known, by=by) == []
    assert only(look("https://go.example.evil.com/go.example", by=by)).kind == "links"


@pytest.mark.parametrize("severity", ["off", "warn", "stop"])
def test_what_the_policy_says_decides_what_becomes_of_a_slip(severity: Severity) -> None:
    by = judged_by(**dict.fromkeys(Lint.model_fields, severity))
    for kind, words, _ in SLIPS:
        for asked in ("warn", "stop"):
            assert bool(look(words, by=by, severity=asked)) == (asked == severity), kind


@given(st.text(st.characters(exclude_categories=())), st.sampled_from([words for _, words, _ in SLIPS]))
def test_no_words_are_too_strange_to_be_looked_at(words: str, slip: str) -> None:
    for text in (words, f"{words}{slip}", slip + words):
        for one in look(text, subtitle=words, link=words):
            assert "\n" not in one.sentence
            assert len(one.sentence) < 250


async def test_an_author_goes_past_a_warning_and_the_approvers_see_it(sandbox: Sandbox) -> None:
    draft = await sandbox.compose(content="**Come in**, @everyone!")
    told = (
        "Discord's markup means nothing on a phone: **Come in**.",
        "A mention reaches nobody outside of Discord: @everyone.",
    )
    shown = readable(response(draft)).replace("\\", "")
    assert "Worth a second look" in shown
    assert [one for one in told if one not in shown] == []
    await sandbox.submit(draft)
    card = readable(sandbox.review_card()).replace("\\", "")
    assert "The author went past these" in card
    assert [one for one in told if one not in card] == []
    await sandbox.press("Omar", "Approve")
    assert "Approved" in readable(sandbox.review_card())


def stopping(text: str) -> str:
    return text.replace("[[server.topic]]", '[server.lint]\nmentions = "stop"\n[[server.topic]]', 1)


async def test_what_the_policy_stops_is_refused_with_its_sentence_and_nothing_is_lost(
    open_sandbox: OpenSandbox,
) -> None:
    async with open_sandbox("v5", edit_policy=stopping) as sandbox:
        draft = await sandbox.compose(content="Come in, @everyone!  Now")
        said = readable(response(draft)).replace("\\", "")
        assert "Before you can ask for approval: A mention reaches nobody outside of Discord: @everyone." in (
            said.replace("• ", "").replace("\n", " ")
        )
        assert "There is more than one space after @everyone!." in said
        assert "Ask for approval" not in button_labels(response(draft))
        shown = await sandbox.person("Maya").click(response(draft), label="Edit")
        assert prefilled(shown)["content"] == "Come in, @everyone!  Now"
        mended = await edit(sandbox, draft, content="Come in!")
        await sandbox.submit(mended)
        assert "The author went past these" not in readable(sandbox.review_card())


async def test_what_the_policy_stops_by_now_is_neither_approved_nor_sent(open_sandbox: OpenSandbox) -> None:
    async with open_sandbox("v5") as sandbox:
        await sandbox.approved(subject="First", content="Come in, @everyone!")
        await sandbox.submit(await sandbox.compose(subject="Second", content="Come in, @everyone!"))
        await sandbox.restart(edit_policy=stopping)
        await sandbox.herald.startup.begin()
        await sandbox.wait(UNDONE)
        assert "Held" in readable(sandbox.channel("review").history()[0])
        refused = answer(await sandbox.press("Omar", "Approve")).replace("\\", "")
        assert refused.endswith("@everyone. Its author has to withdraw it and mend that first.")
        assert sandbox.whop.exchanges == []
