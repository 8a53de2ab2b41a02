"""The base of everything that is stored: validated when read, camelCase outside, unknown fields kept."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Self

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, PlainSerializer
from pydantic.alias_generators import to_camel

from gitpw.domain.ids import isoformat


def _whole(moment: datetime) -> datetime:
    """The moment to the second: what is decided now must be decided alike by whoever reads it again."""
    return moment.replace(microsecond=0)


Instant = Annotated[AwareDatetime, AfterValidator(_whole), PlainSerializer(isoformat, return_type=str)]
"""A moment, to the second, written in UTC."""


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
