"""The one error tree.

HeraldError
├── ConfigurationError    a setting or the policy is wrong: the start ends with this sentence
├── StoreError            the database could not take or give something
├── NoRecipients          a request would name nobody, which Whop might take for everybody
├── Superseded            another process has taken what only one may have
├── Unreachable           Discord cannot be asked now
│   └── Unreadable        Discord does not let Herald read a channel, until somebody mends that
│       └── NoChannel     because it was deleted
└── Refused               a person asked for something that is not done; they read this sentence
    ├── NotAllowed        who they are does not permit it
    ├── Conflict          the broadcast has moved on: someone was faster, or the card is old
    ├── NotReady          the broadcast itself is not fit for it yet
    └── NotFound          no such broadcast for them
"""


class HeraldError(Exception):
    """Base of every error that Herald raises on purpose; its text is a sentence for people."""


class ConfigurationError(HeraldError):
    """Say which file and key are wrong, and what to write instead."""


class StoreError(HeraldError):
    """Say that the database is in trouble; nothing that needed it has happened."""


class CommitUnknown(StoreError):
    """Say that the database broke off while it was committing: all of it may have happened, or nothing."""


class NoRecipients(HeraldError):
    """Say that a request would name nobody: Whop might take that for everybody, so it is never made."""


class Superseded(HeraldError):
    """Say that another process has taken the database over, so that this one has to end."""


class Unreachable(HeraldError):
    """Say that Discord cannot be asked now; what depends on its answer has to wait."""


class Unreadable(Unreachable):
    """Say why a channel cannot be read, and what to mend."""


class NoChannel(Unreadable):
    """Say that a channel is no longer there."""


class Refused(HeraldError):
    """Say to the person who asked why it is not done and what would help."""


class NotAllowed(Refused):
    """Say who could do it instead."""


class Conflict(Refused):
    """Say what has happened to the broadcast in the meantime."""


class NotReady(Refused):
    """Say what the broadcast still lacks."""


class NotFound(Refused):
    """Say that there is no such broadcast."""


REFUSED_BY_DISCORD = (
    "DISCORD_TOKEN: Discord does not accept it: copy it again from the developer portal, page Bot."
)
