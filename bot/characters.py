"""What Unicode says of characters: which nobody sees, which turn a line around, how many one sees. Pure."""

import unicodedata
from typing import Final

import regex

# What stands between them has its own direction of writing, which the first letter decides.
FIRST_STRONG_ISOLATE: Final = "\u2068"
POP_ISOLATE: Final = "\u2069"

# What no database and no file can hold.
_UNSTORABLE: Final = regex.compile(r"[\x00\ud800-\udfff]")
# Blank by their glyph alone, which no property tells: an empty Braille cell, a notehead and a filler.
_BLANK: Final = r"\u2800\U0001d159\U00016fe4"
_BREAKS: Final = r"\t-\r\x1c-\x1e\x85"
# Characters that nobody sees, whatever stands around them. Signs that are written around what follows are of
# the same kind (Cf), but are seen.
_UNSEEN: Final = (
    rf"[\p{{Default_Ignorable_Code_Point}}{_BLANK}\p{{Noncharacter_Code_Point}}\p{{Cs}}"
    rf"[\p{{Cf}}--\p{{Prepended_Concatenation_Mark}}][\p{{Cc}}--[{_BREAKS}]]]"
)
# Where a script or an emoji needs one of them all the same.
_PICTURE: Final = r"[\p{Emoji}--\p{Emoji_Component}]"
_ELEMENT: Final = r"[\p{Extended_Pictographic}&&\p{Emoji}](?:[\ufe0e\ufe0f]|\p{Emoji_Modifier})?"
_FLAGS: Final = [
    "".join(chr(0xE0000 + ord(ch)) for ch in f"{name}\x7f") for name in ("gbeng", "gbsct", "gbwls")
]
# A mark that is not seen itself does not join letters either.
_MARKS: Final = r"[\p{jt=T}--\p{DI}]*"
_NEEDED: Final = (
    # Emoji as Unicode spells them (UTS #51): flags, keys, presentation, and several joined to one.
    # The flags of England, Scotland and Wales are the only ones that are spelt in tags.
    rf"\U0001f3f4(?:{'|'.join(_FLAGS)})",
    r"[0-9#*]\ufe0f\u20e3",
    rf"{_ELEMENT}(?:\u200d{_ELEMENT})*",
    rf"{_PICTURE}[\ufe0e\ufe0f]",
    # Joiners where they change how letters join (RFC 5892, appendix A), at the end of a word too.
    r"(?<=\p{ccc=9})[\u200c\u200d]",
    rf"(?<=[\p{{jt=L}}\p{{jt=D}}]{_MARKS})\u200c(?={_MARKS}[\p{{jt=R}}\p{{jt=D}}])",
    rf"(?<=[\p{{jt=L}}\p{{jt=D}}]{_MARKS})\u200d(?![\p{{jt=T}}\p{{jt=R}}\p{{jt=D}}\p{{jt=C}}])",
    # Indic letters that keep their shape before a virama, and Khmer vowels after a register shifter.
    r"(?<=\p{InSC=Consonant})\u200d(?=\p{ccc=9})",
    r"(?<=\p{InSC=Register_Shifter})\u200c(?=\p{M})",
    # Mongolian letters have variants, and parted vowels.
    r"(?<=\p{Script=Mongolian})[\u180b-\u180d\u180f]",
    r"(?<=\p{Script=Mongolian})\u180e(?=\p{Script=Mongolian})",
    # Scripts without spaces part their words by one that has no width: Khmer, Lao, Burmese, Thai.
    r"(?<=\p{Line_Break=SA})\u200b(?=\p{Line_Break=SA})",
)
# What is needed is passed over as a whole, so that only what is left is found.
HIDDEN: Final = regex.compile(rf"(?V1)(?:{'|'.join(_NEEDED)})(*SKIP)(*FAIL)|{_UNSEEN}")
# Unicode's measure for marks that are piled up (UTS #39, 5.4).
MARKS_LIMIT: Final = 4
_MARK: Final = r"[\p{Mn}\p{Me}]"
_PILED: Final = regex.compile(rf"(?<=(?:{_MARK}\p{{Cf}}*){{{MARKS_LIMIT}}}){_MARK}")
_SEEN: Final = regex.compile(rf"(?V1)[[^\p{{White_Space}}\p{{M}}\p{{Cf}}\p{{Cc}}]--{_UNSEEN}]|\p{{PCM}}")
# How an emoji is drawn, which a keyboard decides, and what is put around a name where it is shown.
_PRESENTATION: Final = regex.compile(rf"[\ufe0e\ufe0f{FIRST_STRONG_ISOLATE}{POP_ISOLATE}]")
# Accents, and the points of Hebrew and Arabic, by their combining class: what is written without them means
# the same to whoever looks for it. Other marks are the vowels and tones of their scripts.
_ACCENTS: Final = frozenset({*range(10, 37), *range(200, 241)})
_IGNORED: Final = regex.compile(r"[\p{DI}\u0640]")
# Letters that no accent can be taken from, though many write them without.
_STROKES: Final = str.maketrans("łđøħŧı", "ldohti")
_RIGHT: Final = r"[\p{bc=R}\p{bc=AL}\p{bc=AN}]"
_FROM_THE_RIGHT: Final = regex.compile(_RIGHT)
# Up to the name of the next value in a line of the log.
_RUN: Final = regex.compile(rf"{_RIGHT}(?:[^=\n\x1b]*{_RIGHT})?")


def reveal(text: str) -> str:
    """Return the text with the names of characters in their places that nobody sees, or that pile up."""
    return HIDDEN.sub(_named, _PILED.sub(_named, text))


def _named(match: "regex.Match[str]") -> str:
    return f"⟨U+{ord(match[0]):04X}⟩"


def is_blank(text: str) -> bool:
    """Tell whether nothing in the text can be seen."""
    return _SEEN.search(text) is None


def is_piled(text: str) -> bool:
    """Tell whether a letter bears more marks than a reader could tell apart."""
    return _PILED.search(unicodedata.normalize("NFD", text)) is not None


def spelling(text: str) -> str:
    """Return what of a typed name is compared: all but how it is composed, drawn, and spaces around it."""
    return _PRESENTATION.sub("", unicodedata.normalize("NFC", text)).strip()


def folded(text: str) -> str:
    """Return what of a text is searched: its letters in whatever case, width and accents, on one line."""
    letters = unicodedata.normalize("NFKD", _IGNORED.sub("", text)).casefold()
    bare = "".join(one for one in letters if unicodedata.combining(one) not in _ACCENTS)
    return " ".join(unicodedata.normalize("NFC", bare).translate(_STROKES).split())


def isolated(text: str) -> str:
    """Return the text, with what is written from the right kept from turning the line around it."""
    return f"{FIRST_STRONG_ISOLATE}{text}{POP_ISOLATE}" if _FROM_THE_RIGHT.search(text) else text


def isolated_within(line: str) -> str:
    """Return the line, in which what is written from the right turns nothing around it."""
    return _RUN.sub(lambda match: isolated(match[0]), line)


def is_storable(text: str) -> bool:
    """Tell whether every database can keep the text as it is."""
    return _UNSTORABLE.search(text) is None


def storable(text: str) -> str:
    """Return the text with U+FFFD in place of each character that some database cannot keep."""
    return _UNSTORABLE.sub("\ufffd", text)


def visible_length(text: str) -> int:
    """Count characters as a phone shows them: an emoji family or an accented letter is one."""
    return sum(1 for _ in regex.finditer(r"\X", text))


def units(text: str) -> int:
    """Count characters as Discord's forms and limits do, in UTF-16: most emoji are two or more."""
    return len(text.encode("utf-16-le", "surrogatepass")) // 2
