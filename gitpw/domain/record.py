"""The base of everything that is stored: validated when read, camelCase outside, unknown fields kept."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Self

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    PlainSerializer,
    ValidationError,
)
from pydantic.alias_generators import to_camel

from gitpw.domain.ids import isoformat


def _whole(moment: datetime) -> datetime:
    """The moment to the second: what is decided now must be decided alike by whoever reads it again."""
    return moment.replace(microsecond=0)


Instant = Annotated[AwareDatetime, AfterValidator(_whole), PlainSerializer(isoformat, return_type=str)]
"""A moment, to the second, written in UTC."""


SENTENCES = {
    "greater_than_equal": "must be at least {ge}",
    "less_than_equal": "must be at most {le}",
    "string_pattern_mismatch": "has characters that it may not have",
    "string_too_long": "must have at most {max_length} characters",
    "string_too_short": "must not be empty",
    "string_unicode": "isn't UTF-8",
    "too_short": "must not be empty",
}
"""What is wrong, by pydantic's name of it."""


def complaint(error: ValidationError) -> tuple[str, str]:
    """The field that a validation complains of first, and what about it, as the end of a sentence."""
    first = error.errors(include_url=False)[0]
    field = next((str(part) for part in first["loc"] if not isinstance(part, int)), "")
    said = SENTENCES.get(first["type"])
    if said is not None:
        return field, said.format(**first.get("ctx", {}))
    words = " ".join(str(first["msg"]).split()).rstrip(".")
    return field, f"won't do: {words[:1].lower()}{words[1:]}"


class Record(BaseModel):
    """An immutable value; fields that a newer version added survive reading and writing."""

    model_config = ConfigDict(
        frozen=True,
        strict=True,
        extra="allow",
        alias_generator=to_camel,
        validate_by_name=True,
        validate_by_alias=True,
        defer_build=True,
    )

    def to_json(self) -> bytes:
        """One line of JSON."""
        return self.model_dump_json(by_alias=True).encode()

    def to_data(self) -> dict[str, Any]:
        """The JSON document as Python values."""
        return self.model_dump(mode="json", by_alias=True)

    @classmethod
    def from_json(cls, raw: bytes) -> Self:
        """Read and validate; raises `pydantic.ValidationError`."""
        return cls.model_validate_json(raw)

    def but(self, **changes: object) -> Self:
        """The same with some fields changed."""
        return self.model_copy(update=changes)
