"""How properties are tried: on few examples, always the same, or on many that are new each time.

HYPOTHESIS_PROFILE chooses: `suite`, which is the default; `brief`, for whoever wants to know only whether a
property fails; or `long`, which is `make properties`.
"""

import os
from typing import Any, Final

from hypothesis import Phase, settings

EXAMPLES: Final = 100
STEPS: Final = 25
# How many times more a long run tries.
LONG: Final = 25

# How fast an example runs says something about the machine, nothing about Herald.
settings.register_profile(
    "suite",
    max_examples=EXAMPLES,
    stateful_step_count=STEPS,
    derandomize=True,
    database=None,
    deadline=None,
)
settings.register_profile("brief", settings.get_profile("suite"), phases=[Phase.explicit, Phase.generate])
settings.register_profile(
    "long",
    max_examples=EXAMPLES * LONG,
    stateful_step_count=STEPS * 2,
    derandomize=False,
    database=None,
    deadline=None,
    print_blob=True,
)


def load_profile() -> None:
    """Let all properties be tried as the environment says."""
    settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "suite"))


def examples(number: int, **others: Any) -> settings:
    """Try a property on so many examples in the suite, and on many times more in a long run."""
    return settings(max_examples=number * settings().max_examples // EXAMPLES, **others)
