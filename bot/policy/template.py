"""Words that are approved beforehand, for an emergency, and their blanks."""

import re
import unicodedata
from typing import Annotated, Final, Self

from pydantic import Field, field_validator, model_validator

from bot.policy.fields import Name, Several, TopicId, Words
from bot.policy.names import refuse_alike
from bot.policy.section import Section

# A blank of a template, such as {service}; a form of Discord's takes five.
BLANK: Final = re.compile(r"\{([a-z][a-z0-9_]{0,29})\}")
MOST_BLANKS: Final = 5
# A list in a form of Discord's takes as many.
MOST_CHOICES: Final = 25


class Blank(Section):
    """What may stand in a blank, where that is not left to its author."""

    name: Name
    choices: Several[Name]

    @field_validator("choices")
    @classmethod
    def _fit_a_form(cls, choices: tuple[str, ...]) -> tuple[str, ...]:
        if len(choices) > MOST_CHOICES:
            raise ValueError(f"it has {len(choices)} choices, and a form takes {MOST_CHOICES}: have fewer")
        return choices


class Template(Section):
    """Words for an emergency, to be approved beforehand; each {name} in them is a blank."""

    name: Name
    audience: Name
    topic: TopicId
    subject: Words
    content: Words
    subtitle: Words | None = None
    link: Words | None = None
    limited: Annotated[tuple[Blank, ...], Field(alias="blank")] = ()

    def choices(self, blank: str) -> tuple[str, ...]:
        """Return what may stand in a blank; nothing where its author types it."""
        return next((one.choices for one in self.limited if one.name == blank), ())

    def blanks(self) -> tuple[str, ...]:
        """Return the names of the blanks, each once, as they come."""
        return tuple(dict.fromkeys(BLANK.findall(f"{self.subject}\n{self.content}")))

    @model_validator(mode="after")
    def _can_be_filled(self) -> Self:
        refuse_alike("blank", [[one.name] for one in self.limited])
        for one in self.limited:
            if one.name not in self.blanks():
                raise ValueError(
                    f"blank “{one.name}”: no {{{one.name}}} stands in subject or content:"
                    " correct the name, or remove the blank"
                )
        if len(self.blanks()) > MOST_BLANKS:
            raise ValueError(
                f"it has {len(self.blanks())} blanks, and a form takes {MOST_BLANKS}: have fewer"
            )
        if re.search(rf"{BLANK.pattern}{BLANK.pattern}", f"{self.subject}\n{self.content}"):
            raise ValueError("two blanks touch, so nobody could tell them apart: put words between them")
        for part in ("subject", "content", "subtitle", "link"):
            words = getattr(self, part) or ""
            rest = BLANK.sub("", words) if part in {"subject", "content"} else words
            # A wide brace is taken for a brace by whoever reads it.
            if not {"{", "}"}.isdisjoint(unicodedata.normalize("NFKC", rest)):
                raise ValueError(
                    f"{part}: customers would read the braces of what is no blank: write a blank as {{since}}"
                    " in subject or content, of small letters, digits and _, or remove the braces"
                )
        return self
