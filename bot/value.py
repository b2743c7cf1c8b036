"""What is checked when made and never changed after, and who a person is. Pure."""

from typing import NamedTuple

from pydantic import BaseModel, ConfigDict


class Value(BaseModel):
    """A value: checked when made, never changed after."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Person(NamedTuple):
    """Someone as they were when they acted: Discord id and display name."""

    id: int
    name: str
