"""What Discord would refuse is found in whatever is sent, whoever sends it."""

from typing import Any

import pytest

from tests.harness.discord.limits import broken_limits

EMOJI = "🎉"


def button(**known: Any) -> dict[str, Any]:
    return {"type": 2, "label": "Stop", "custom_id": "a"} | known


def rows(*inner: dict[str, Any]) -> dict[str, Any]:
    return {"components": [{"type": 1, "components": list(inner)}]}


def field(**known: Any) -> dict[str, Any]:
    return {"embeds": [{"fields": [{"name": "a", "value": "b"} | known]}]}


def option(**known: Any) -> dict[str, Any]:
    return rows({"type": 3, "custom_id": "a", "options": [{"label": "a", "value": "b"} | known]})


def modal(inner: dict[str, Any], **known: Any) -> dict[str, Any]:
    label = {"type": 18, "label": "Subject", "component": inner}
    return {"type": 9, "data": {"title": "Write", "custom_id": "a", "components": [label]} | known}


TEXT = {"type": 4, "custom_id": "b", "max_length": 10}
BROKEN: dict[str, Any] = {
    "an emoji is two": {"content": EMOJI * 1001},
    "embeds": {"embeds": [{}] * 11},
    "embed title": {"embeds": [{"title": "a" * 257}]},
    "embed description": {"embeds": [{"description": "a" * 4097}]},
    "embed footer": {"embeds": [{"footer": {"text": "a" * 2049}}]},
    "embed author": {"embeds": [{"author": {"name": "a" * 257}}]},
    "all embeds": {"embeds": [{"description": "a" * 3001}, {"description": "b" * 3000}]},
    "field name": field(name="a" * 257),
    "field value": field(value=EMOJI * 513),
    "empty field": field(value=" "),
    "fields": {"embeds": [{"fields": [{"name": "a", "value": "b"}] * 26}]},
    "rows": {"components": [{"type": 1, "components": []}] * 6},
    "buttons of a row": rows(*(button(custom_id=str(one)) for one in range(6))),
    "the same button twice": rows(button(), button()),
    "custom_id": rows(button(custom_id="a" * 101)),
    "label": rows(button(label="a" * 81)),
    "no label": rows(button(label="")),
    "options": rows({"type": 3, "custom_id": "a", "options": [{"label": "a", "value": "b"}] * 26}),
    "option label": option(label="a" * 101),
    "option value": option(value=""),
    "option description": option(description="a" * 101),
    "modal title": modal(TEXT, title="a" * 46),
    "label of a modal": {"title": "a", "custom_id": "b", "components": [{"type": 18, "label": "a" * 46}]},
    "value": modal(TEXT | {"value": "a" * 11}),
    "max_length": modal(TEXT | {"max_length": 4001}),
    "choices": {"type": 8, "data": {"choices": [{"name": "a", "value": "b"}] * 26}},
    "choice": {"type": 8, "data": {"choices": [{"name": "a" * 101, "value": "b"}]}},
    "command": [{"name": "a" * 33, "description": "b"}],
    "description of a command": [{"name": "a", "description": "b" * 101}],
    "option of a command": [{"name": "a", "description": "b", "options": [{"name": "c", "description": ""}]}],
}


@pytest.mark.parametrize("body", BROKEN.values(), ids=BROKEN)
def test_what_discord_would_refuse_is_found(body: Any) -> None:
    assert len(broken_limits(body)) == 1


@pytest.mark.parametrize(
    "body",
    [
        None,
        {"content": EMOJI * 1000},
        {"embeds": [{"description": "a" * 4096}, {"description": "b" * 1904}]},
        rows(*(button(custom_id=str(one), label="a" * 80) for one in range(5))),
        modal(TEXT | {"value": "a" * 10}, title="a" * 45),
        {"type": 6},
    ],
)
def test_what_just_fits_is_left_alone(body: Any) -> None:
    assert broken_limits(body) == []
