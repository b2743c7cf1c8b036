"""What is to be drawn, as plain words: the process that draws knows nothing else of Herald."""

from typing import NamedTuple


class Words(NamedTuple):
    """What is read at one place."""

    subject: str
    content: str
    subtitle: str = ""


class Order(NamedTuple):
    """What to draw: the words on the phone and in the feed, as far as they are written.

    A lock screen cuts the subject and the content after so many characters at the latest.
    """

    phone: Words | None
    feed: Words | None
    cut_subject: int
    cut_content: int

    def written(self) -> str:
        """Return all words."""
        return "".join([*(self.phone or ()), *(self.feed or ())])
