"""What the bodies of both generations are made of, and how a wrong one is described."""

import re
from typing import Annotated, ClassVar, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, ValidationError, ValidationInfo, field_validator
from pydantic_core import ErrorDetails, PydanticCustomError

from bot.sandbox.whop.call import Call


class Body(BaseModel):
    """Read types as they are written; ignore fields that are not known, as Whop does."""

    model_config = ConfigDict(strict=True, extra="ignore", frozen=True)
    NULLABLE: ClassVar[frozenset[str]] = frozenset()

    @field_validator("*", mode="before")
    @classmethod
    def _not_null(cls, value: object, info: ValidationInfo) -> object:
        # A field that may be left out has None as its default, which does not make null a value for it.
        if value is None and info.field_name not in cls.NULLABLE:
            raise PydanticCustomError("null", "must not be null")
        return value


def _not_blank(text: str) -> str:
    if not text.strip():
        raise PydanticCustomError("blank", "must not be blank")
    return text


def _identifier(prefix: str) -> AfterValidator:
    shape = re.compile(rf"{prefix}_[A-Za-z0-9_-]+")

    def check(value: str) -> str:
        if not shape.fullmatch(value):
            raise PydanticCustomError(
                "identifier", "must be an id such as {example}", {"example": f"{prefix}_abc"}
            )
        return value

    return AfterValidator(check)


Words = Annotated[str, AfterValidator(_not_blank)]
UserId = Annotated[str, _identifier("user")]
ProductId = Annotated[str, _identifier("prod")]
CompanyId = Annotated[str, _identifier("biz")]
ExperienceId = Annotated[str, _identifier("exp")]

BodyT = TypeVar("BodyT", bound=Body)


class Malformed(Exception):
    """Say in one sentence what is wrong with a body."""


def read_body(model: type[BodyT], call: Call) -> BodyT:
    """Read the body of a call, or raise Malformed with every problem by the name of its field."""
    if call.content_type != "application/json":
        raise Malformed(f"Content-Type must be application/json, not {call.content_type}")
    try:
        return model.model_validate_json(call.body)
    except ValidationError as error:
        raise Malformed("; ".join(_describe(detail) for detail in error.errors())) from None


def read_number(call: Call, name: str, *, default: int, most: int) -> int:
    """Read a whole number from 1 to `most` from the query, or raise Malformed."""
    given = call.params.get(name, str(default))
    if not re.fullmatch(r"[1-9][0-9]{0,5}", given) or int(given) > most:
        raise Malformed(f"{name}: must be a whole number from 1 to {most}")
    return int(given)


def _describe(detail: ErrorDetails) -> str:
    match detail["type"]:
        case "missing":
            return f"Missing required parameter: {_place(detail)}"
        case "extra_forbidden":
            return f"Unknown parameter: {_place(detail)}"
        case "json_invalid":
            return "The body is not valid JSON"
        case _ if not detail["loc"]:
            return detail["msg"]
        case _:
            return f"{_place(detail)}: {detail['msg']}"


def _place(detail: ErrorDetails) -> str:
    parts = (f"[{part}]" if isinstance(part, int) else f".{part}" for part in detail["loc"])
    return "".join(parts).lstrip(".")
