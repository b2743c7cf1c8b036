"""What every table of herald.toml has in common."""

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    """A table of herald.toml; an unknown key in it is an error, since it may be a misspelt rule."""

    model_config = ConfigDict(frozen=True, extra="forbid")
