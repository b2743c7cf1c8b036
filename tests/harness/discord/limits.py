"""What Discord refuses in a body that is sent to it, and the library does not: lengths and numbers."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, cast

import discord

ComponentType = discord.ComponentType
# A message has at most so many rows, and a row so many buttons.
ROWS: Final = 5
EMBEDS: Final = 10
# Of all texts of all embeds of a message together.
EMBED_TEXTS: Final = 6000


def units(text: str) -> int:
    """Return a text's length as Discord counts it, in UTF-16."""
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def broken_limits(body: Any) -> list[str]:
    """Return what Discord would refuse in the JSON of a request: a message, a modal, choices or commands."""
    if isinstance(body, list):
        return [wrong for command in _each(body) for wrong in _command(command, "command")]
    if not isinstance(body, dict):
        return []
    known = cast("dict[str, Any]", body)
    if "type" in known and "data" in known:
        known = cast("dict[str, Any]", known["data"] or {})
    found = [*_text(known, "content", 2000, "message"), *_embeds(known), *_choices(known)]
    is_modal = "title" in known
    if is_modal:
        found += _text(known, "title", 45, "modal", least=1)
        found += _text(known, "custom_id", 100, "modal", least=1)
    return [*found, *_components(known.get("components") or [])]


def embed_texts(embed: Mapping[str, Any]) -> Iterator[tuple[str, int, int]]:
    """Yield each text of an embed, with how long it may be and how long it has to be."""
    yield embed.get("title") or "", 256, 0
    yield embed.get("description") or "", 4096, 0
    yield embed.get("footer", {}).get("text") or "", 2048, 0
    yield embed.get("author", {}).get("name") or "", 256, 0
    for field in embed.get("fields", []):
        yield field["name"] or "", 256, 1
        yield field["value"] or "", 1024, 1


def _embeds(body: Mapping[str, Any]) -> Iterator[str]:
    embeds = list(_each(body.get("embeds") or []))
    yield from _many(embeds, EMBEDS, "message's embeds")
    total = 0
    for embed in embeds:
        yield from _many(embed.get("fields", []), 25, "embed's fields")
        for text, limit, least in embed_texts(embed):
            yield from _length(text, limit, least, "embed")
            total += units(text)
    if total > EMBED_TEXTS:
        yield f"the texts of all embeds have {total} characters of {EMBED_TEXTS}"


def _choices(body: Mapping[str, Any]) -> Iterator[str]:
    yield from _many(body.get("choices") or [], 25, "choices")
    for choice in _each(body.get("choices") or []):
        yield from _text(choice, "name", 100, "choice", least=1)
        yield from _text(choice, "value", 100, "choice", least=1)


def _components(components: list[Any]) -> Iterator[str]:
    yield from _many(components, ROWS, "rows")
    ids = Counter[str]()
    for one in _walk(components):
        if "custom_id" in one:
            ids[one["custom_id"]] += 1
            yield from _text(one, "custom_id", 100, "component", least=1)
        yield from _text(one, "placeholder", 150, "component")
        yield from _many(one.get("components", []), 5, "row's components")
        yield from _component(one)
    yield from (f"custom_id stands twice: {one}" for one, times in ids.items() if times > 1)


def _component(one: Mapping[str, Any]) -> Iterator[str]:
    match one.get("type"):
        case ComponentType.button.value:
            yield from _text(one, "label", 80, "button", least=1)
        case ComponentType.label.value:
            yield from _text(one, "label", 45, "label", least=1)
            yield from _text(one, "description", 100, "label")
        case ComponentType.text_display.value:
            yield from _text(one, "content", 4000, "text display", least=1)
        case ComponentType.text_input.value:
            longest = one.get("max_length", 4000)
            if not 0 < longest <= 4000:
                yield f"text input: max_length is {longest}"
            yield from _text(one, "value", longest, "text input")
            yield from _text(one, "placeholder", 100, "text input")
        case _:
            yield from _many(one.get("options", []), 25, "options")
            for option in _each(one.get("options", [])):
                yield from _text(option, "label", 100, "option", least=1)
                yield from _text(option, "value", 100, "option", least=1)
                yield from _text(option, "description", 100, "option")


def _command(command: Mapping[str, Any], what: str) -> Iterator[str]:
    yield from _text(command, "name", 32, what, least=1)
    yield from _text(command, "description", 100, what, least=1)
    yield from _choices(command)
    options: list[Any] = command.get("options") or []
    yield from _many(options, 25, f"{what}'s options")
    for option in _each(options):
        yield from _command(option, f"{what} {command['name']}")


def _text(holder: Mapping[str, Any], key: str, limit: int, what: str, *, least: int = 0) -> Iterator[str]:
    text = holder.get(key) or ""
    if isinstance(text, str):
        yield from _length(text, limit, least, f"{what}: {key}")


def _length(text: str, limit: int, least: int, what: str) -> Iterator[str]:
    if units(text) > limit:
        yield f"{what} has {units(text)} characters of {limit}: {text[:40]}"
    # A text of nothing but blanks is none.
    if units(text.strip()) < least:
        yield f"{what} is empty"


def _many(found: Any, limit: int, what: str) -> Iterator[str]:
    if len(found) > limit:
        yield f"{len(found)} {what} of {limit}"


def _each(found: Any) -> Iterable[Mapping[str, Any]]:
    return cast("Iterable[Mapping[str, Any]]", found)


def _walk(tree: Any) -> Iterator[Mapping[str, Any]]:
    if isinstance(tree, list):
        for item in cast("list[Any]", tree):
            yield from _walk(item)
    elif isinstance(tree, dict):
        found = cast("dict[str, Any]", tree)
        yield found
        for value in found.values():
            yield from _walk(value)
