"""Which tests matter for which module, and which mistakes change nothing that anybody could see."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final

_OUTCOMES: Final = ("tests/test_settle.py", "tests/test_leases.py", "tests/test_unknown.py")
_DOORS: Final = ("tests/test_gate.py", "tests/test_permissions.py", "tests/test_composing.py")
_SHOWN: Final = ("tests/test_cards.py", "tests/test_progress.py", "tests/test_gate.py")

# The quickest first: the first that is red is enough.
TESTS: Final[Mapping[str, Sequence[str]]] = MappingProxyType(
    {
        "bot/sending/start.py": ("tests/test_start.py", "tests/test_roles.py", "tests/test_repeats.py"),
        "bot/sending/settle.py": _OUTCOMES,
        "bot/sending/rate.py": ("tests/test_rate.py",),
        "bot/sending/roles.py": ("tests/test_roles.py",),
        "bot/sending/dispatcher.py": (
            "tests/test_start.py",
            "tests/test_settle.py",
            "tests/test_dispatcher.py",
            "tests/test_leases.py",
            "tests/test_freeze.py",
            "tests/test_rate.py",
            "tests/test_clock.py",
        ),
        "bot/sending/restore_guard.py": ("tests/test_startup.py", "tests/test_restore.py"),
        "bot/sending/restore_watch.py": ("tests/test_restore.py",),
        "bot/sending/restored.py": ("tests/test_startup.py", "tests/test_restore.py"),
        "bot/store/history.py": ("tests/test_startup.py", "tests/test_restore.py"),
        "bot/sending/startup.py": ("tests/test_startup.py", "tests/test_worker.py"),
        "bot/store/deliveries.py": ("tests/test_store_untouched.py", "tests/test_rate.py", *_OUTCOMES),
        "bot/store/broadcasts.py": (
            "tests/test_store_untouched.py",
            "tests/test_start.py",
            "tests/test_store.py",
            "tests/test_templates.py",
            "tests/test_life_of_broadcasts.py",
        ),
        "bot/store/outbox.py": (
            "tests/test_store_untouched.py",
            "tests/test_announcer.py",
            "tests/test_mirror.py",
        ),
        "bot/whop/answers.py": ("tests/test_whop_outcomes.py",),
        "bot/whop/gateway.py": ("tests/test_whop_outcomes.py", "tests/test_whop_requests.py"),
        "bot/whop/reads.py": ("tests/test_reads.py",),
        "bot/whop/reads_v1.py": ("tests/test_reads.py",),
        "bot/whop/reads_v5.py": ("tests/test_reads.py",),
        "bot/lifecycle.py": (
            "tests/test_start.py",
            "tests/test_review.py",
            "tests/test_startup.py",
            *_DOORS,
            "tests/test_freeze.py",
            "tests/test_unicode.py",
        ),
        "bot/approvals.py": ("tests/test_approvals.py", "tests/test_startup.py"),
        "bot/quorum.py": ("tests/test_approvals.py", "tests/test_quiet_hours.py"),
        "bot/quiet.py": ("tests/test_quiet_hours.py",),
        "bot/quiet_rules.py": ("tests/test_quiet_hours.py",),
        "bot/permissions.py": ("tests/test_approvers.py", "tests/test_permissions.py"),
        "bot/service/gate.py": (*_DOORS, "tests/test_statements.py"),
        "bot/service/review.py": (
            "tests/test_review.py",
            "tests/test_start.py",
            *_DOORS,
            "tests/test_templates.py",
        ),
        "bot/service/drafting.py": ("tests/test_review.py", *_DOORS, "tests/test_templates.py"),
        "bot/service/freezing.py": ("tests/test_freeze.py", "tests/test_permissions.py"),
        "bot/service/lending.py": ("tests/test_templates.py", "tests/test_lending.py"),
        "bot/service/looking.py": (*_DOORS, "tests/test_custom_ids.py"),
        "bot/service/templates.py": ("tests/test_templates.py", "tests/test_permissions.py"),
        "bot/service/unknowns.py": (
            "tests/test_unknown.py",
            "tests/test_repeats.py",
            "tests/test_permissions.py",
        ),
        "bot/service/use_case.py": ("tests/test_review.py", *_DOORS, "tests/test_unknown.py"),
        "bot/chat/announcer.py": (
            "tests/test_announcer.py",
            "tests/test_mirror.py",
            "tests/test_mirror_trouble.py",
        ),
        "cogs/agreement.py": _SHOWN,
        "cogs/cards.py": _SHOWN,
        "cogs/reach.py": _SHOWN,
        "cogs/situation.py": _SHOWN,
    }
)

# Each with the reason why no test could tell.
EQUIVALENT: Final[Mapping[str, str]] = MappingProxyType(
    {
        "bot/sending/start.py module: BATCH: Final = 100 -> BATCH: Final = 100 + 1": (
            "what does not fit into a round comes in the next"
        ),
        "bot/sending/start.py Start._start: (doubt := self.doubt(broadcast)) or server is None"
        " or audience is None -> (((doubt := self.doubt(broadcast))) or (audience is None))": (
            "a server that is gone is told before: only the type checker asks"
        ),
        "bot/sending/start.py Start._start: (doubt := self.doubt(broadcast)) or server is None"
        " or audience is None -> (((doubt := self.doubt(broadcast))) or (server is None))": (
            "an audience that is gone has another fingerprint: only the type checker asks"
        ),
        "bot/sending/rate.py RateLimit.heed:"
        " tx.facts.load(self._not_before, self._unknown_streak, self._unknown_cause) -> pass": (
            "a fact that was not loaded is asked for: it saves a statement, which test_statements.py counts"
        ),
        "bot/sending/roles.py RoleCheck.doubt: server is None or"
        " not missing(server, broadcast.model_copy(update={'lent': ()}))"
        " -> ((not missing(server, broadcast.model_copy(update={'lent': ()}))))": (
            "where the policy lost the server, its author may not write: that is said before"
        ),
        "bot/sending/dispatcher.py module: FRESH_SECONDS: Final = 25.0 -> FRESH_SECONDS: Final = 25.0 + 1": (
            "a choice inside the lease, which test_leases.py holds it to"
        ),
        "bot/store/deliveries.py module: LEASE: Final = timedelta(seconds=60)"
        " -> LEASE: Final = timedelta(seconds=60 + 1)": (
            "a choice: test_leases.py holds it to be longer than a request may take"
        ),
        "cogs/reach.py module: REACH_LIMIT: Final = 700 -> REACH_LIMIT: Final = 700 + 1": (
            "a choice inside what Discord takes, which test_cards.py holds it to"
        ),
    }
)
