"""The base of everything that is stored: validated when read, camelCase outside, unknown fields kept."""

from __future__ import annotations

from typing import Annotated, Any, Self

from pydantic import AwareDatetime, BaseModel, ConfigDict, PlainSerializer
from pydantic.alias_generators import to_camel

from gitpw.domain.ids import isoformat

Instant = Annotated[AwareDatetime, PlainSerializer(isoformat, return_type=str)]
"""A moment, written in UTC to the second."""


class Record(BaseModel):
    """An immutable value; fields that a newer version added survive reading and writing."""

    model_config = ConfigDict(
        frozen=True,
        strict=True,
        extra="allow",
        alias_generator=to_camel,
        validate_by_name=True,
        validate_by_alias=True,
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
