"""What goes to one person alone: a test of words, and the code that shows who they are at Whop. Pure."""

import hmac
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from bot.characters import units
from bot.notification import SUBJECT_LIMIT, Notification, Text, problems
from bot.policy.model import Server
from bot.value import Person, Value

# Stands before the subject of whatever is no message to customers.
MARK: Final = "[TEST] "
# So many a person may have sent to themselves in that time.
MOST_TESTS: Final = 10
WITHIN: Final = timedelta(hours=1)
# What a code is made of: no two of these are taken for each other.
ALPHABET: Final = "23456789ABCDEFGHJKMNPQRSTUVWXYZ"
CODE_LENGTH: Final = 8
CODE_LIVES: Final = timedelta(minutes=10)
MOST_TRIES: Final = 5
# What a test is of that shows nothing but who somebody is.
OF_A_LINK: Final = 0
UNTESTED: Final = (
    "Test it first: press “Test to me”, then “It arrived” once exactly these words have reached you."
)
NO_EXPERIENCE: Final = (
    "Whop's v1 names people only inside an experience, and no audience of this server names one: no test can"
    " reach anybody"
)


class Link(Value):
    """Who somebody is at Whop, by which account and where, and in which experience they can be named."""

    guild_id: int
    account: str
    origin: str
    person: Person
    whop_id: str
    whop_name: str
    experience: str | None
    at: datetime

    @property
    def shown(self) -> str:
        """Return by what people know them at Whop."""
        return f"@{self.whop_name} ({self.whop_id})" if self.whop_name else self.whop_id


class LinkCode(NamedTuple):
    """A link that waits for its code; of that, only a digest is known."""

    link: Link
    broadcast_id: int
    salt: str
    digest: str
    tries: int
    expires_at: datetime

    def is_met(self, typed: str) -> bool:
        """Tell whether that is the code, in a time that says nothing of how much of it is right."""
        return hmac.compare_digest(digest_of(typed, salt=self.salt), self.digest)


def digest_of(code: str, *, salt: str) -> str:
    """Return what is kept of a code, however it is grouped and in whatever case it is typed."""
    plain = "".join(code.split()).replace("-", "").upper()
    return hmac.new(salt.encode(), plain.encode(errors="replace"), "sha256").hexdigest()


def marked(notification: Notification) -> Notification:
    """Return the same words as a test of them."""
    texts = {
        field: Text(subject=f"{MARK}{text.subject}", content=text.content)
        for field, text in notification.texts()
    }
    return notification.model_copy(update=texts)


def refuse_marked(notification: Notification) -> str | None:
    """Return why words do not fit once they are marked as a test."""
    if problems(notification) or not problems(marked(notification)):
        return None
    return (
        f"With “{MARK.strip()}” in front it is too long for a test: make the subject at most"
        f" {SUBJECT_LIMIT - units(MARK)} characters long."
    )


def code_words(topic: str, server: str, code: str) -> Notification:
    """Return the message with the code that shows who its reader is."""
    minutes = CODE_LIVES // timedelta(minutes=1)
    content = (
        f"Your code is {code}: type it in Discord by /notify link within {minutes} minutes. It ties your"
        f" Discord account to this Whop account in {server}. If you did not ask for it, ignore it."
    )
    return Notification(topic=topic, all=Text(subject=f"{MARK}Code from Herald", content=content))


def experiences_of(server: Server) -> Sequence[str]:
    """Return the experiences that a server's audiences and lists name, each once."""
    found: list[str] = []
    for audience in server.audiences:
        inside = audience.targets.users_in_experience
        found += [*audience.targets.experiences, *([inside.experience] if inside else ())]
    if server.lists.experience is not None:
        found.append(server.lists.experience)
    return list(dict.fromkeys(found))


def refuse_tests(server: Server, *, inside: bool) -> str | None:
    """Return why no test can reach anybody, where people are named only `inside` an experience."""
    return NO_EXPERIENCE if inside and not experiences_of(server) else None
