"""The buttons on cards. They outlive restarts: all they know stands in their custom_id."""

import re
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any, Final, NamedTuple, Self

import discord
from typing_extensions import override

from bot.chat.answers import answering
from bot.chat.custom_ids import BUTTON, Subject, button_id
from bot.permissions import Action


class Look(NamedTuple):
    """A button's label and colour."""

    label: str
    style: discord.ButtonStyle


_GREEN: Final = discord.ButtonStyle.success
_RED: Final = discord.ButtonStyle.danger
_GREY: Final = discord.ButtonStyle.secondary
_BLUE: Final = discord.ButtonStyle.primary

EDIT_PHONE: Final = "edit_phone"
CHANGE_AUDIENCE: Final = "change_audience"
CHANGE_TOPIC: Final = "change_topic"
OPEN: Final = "open"
# The moments that a time could mean, by their places: at most so many are offered.
TIMES: Final = ("time_a", "time_b", "time_c", "time_d", "time_e")
TYPE_CODE: Final = "type_code"
OPEN_SERIES: Final = "open_series"
USE_TEMPLATE: Final = "use_template"
# What stands on the cards of templates that moderators made, and in their list.
OPEN_EVERYDAY: Final = "open_everyday"
USE_EVERYDAY: Final = "use_everyday"
PHONE_EVERYDAY: Final = "phone_everyday"
# What uses the words again of one's own draft.
DUPLICATE: Final = "Duplicate"
# What asks for approval says where a template has all that is needed.
SEND: Final = "Send…"

LOOKS: Final[Mapping[str, Look]] = MappingProxyType(
    {
        Action.EDIT: Look("Edit", _GREY),
        Action.CORRECT: Look("Correct…", _GREY),
        Action.GIVE_LIST: Look("Give its list…", _GREY),
        Action.USE_LIST: Look("Use these", _GREEN),
        Action.DOWNLOAD_LIST: Look("Download the list", _GREY),
        Action.SHARE: Look("Share…", _GREY),
        EDIT_PHONE: Look("Phone words", _BLUE),
        CHANGE_AUDIENCE: Look("Change audience", _GREY),
        CHANGE_TOPIC: Look("Change topic", _GREY),
        OPEN: Look("Open #{number}", _GREY),
        Action.SUBMIT: Look("Ask for approval", _BLUE),
        Action.REUSE: Look("Use these words again", _GREY),
        **dict.fromkeys((Action.TEST_DRAFT, Action.TEST_REVIEW), Look("Test to me", _GREY)),
        Action.ARRIVED: Look("It arrived", _GREEN),
        TYPE_CODE: Look("Type the code", _BLUE),
        Action.CANCEL: Look("Cancel", _RED),
        Action.APPROVE: Look("Approve", _GREEN),
        Action.RETRACT: Look("Withdraw my approval", _GREY),
        USE_TEMPLATE: Look("Use", _BLUE),
        Action.APPROVE_TEMPLATE: Look("Approve the template", _GREEN),
        Action.RETRACT_TEMPLATE: Look("Withdraw my approval", _GREY),
        OPEN_EVERYDAY: Look("Open", _GREY),
        Action.CREATE_TEMPLATE: Look("Open the form again", _BLUE),
        USE_EVERYDAY: Look("Use", _BLUE),
        Action.EDIT_TEMPLATE: Look("Edit", _GREY),
        PHONE_EVERYDAY: Look("Phone words", _GREY),
        Action.RETIRE_TEMPLATE: Look("Retire", _RED),
        Action.RESTORE_TEMPLATE: Look("Bring it back", _GREY),
        Action.REQUEST_CHANGES: Look("Ask for changes", _GREY),
        Action.REJECT: Look("Reject", _RED),
        Action.WITHDRAW: Look("Withdraw", _GREY),
        **dict.fromkeys(TIMES, Look("This time", _BLUE)),
        Action.STOP: Look("Stop", _RED),
        Action.RESCHEDULE: Look("Another time…", _GREY),
        Action.REPEAT: Look("Repeat…", _GREY),
        OPEN_SERIES: Look("Series of #{number}", _GREY),
        Action.SKIP: Look("Skip the next", _GREY),
        Action.PAUSE: Look("Pause", _GREY),
        Action.GO_ON: Look("Go on", _BLUE),
        Action.END: Look("End it", _RED),
        Action.RELEASE: Look("Release", _BLUE),
        Action.RETURN: Look("Back to draft", _GREY),
        Action.LOOK_UP: Look("Look it up", _BLUE),
        Action.CHECK: Look("Check again", _BLUE),
        Action.CONFIRM: Look("It went out", _GREEN),
        Action.DENY: Look("It did not", _RED),
        Action.SEND_AGAIN: Look("Send again as a new broadcast", _GREY),
        Action.UNFREEZE: Look("Lift the freeze", _RED),
    }
)


class ActionButton(
    discord.ui.DynamicItem[discord.ui.Button[Any]],
    template=BUTTON,
):
    """One action on what stands on a card.

    The custom_id carries no authority: each press loads it and decides anew, and counts only if it is still
    what was shown.
    """

    def __init__(self, action: str, subject: Subject, *, label: str | None = None) -> None:
        look = LOOKS.get(action)
        self.action = action
        self.subject = subject
        label = label or (look.label.format(number=subject.number) if look else "?")
        style = look.style if look else discord.ButtonStyle.secondary
        custom_id = button_id(action, subject)
        super().__init__(discord.ui.Button(label=label, style=style, custom_id=custom_id))

    @classmethod
    @override
    async def from_custom_id(
        cls, interaction: discord.Interaction[Any], item: discord.ui.Item[Any], match: re.Match[str], /
    ) -> Self:
        """Build the button that was pressed from its custom_id."""
        _ = interaction, item
        subject = Subject(int(match["number"]), int(match["revision"]), match["seal"] or "")
        return cls(match["action"], subject)

    @override
    async def callback(self, interaction: discord.Interaction[Any]) -> None:
        """Do what the button says; discord.py would swallow an error here, so it is answered."""
        async with answering(interaction):
            number, revision, _ = self.subject
            await interaction.client.press(interaction, self.action, number, revision)


def buttons(actions: Iterable[str], subject: Subject) -> discord.ui.View:
    """Return a row of buttons.

    Only such buttons may be in it: an ordinary item in the same view would make discord.py forget
    the class, and every card would go dead.
    """
    view = discord.ui.View(timeout=None)
    for action in actions:
        view.add_item(ActionButton(str(action), subject))
    return view
