"""The public keys that workers sign their operations with."""

from __future__ import annotations

import base64
import hashlib
import re
from enum import StrEnum
from typing import Self

from pydantic import Field, model_validator

from gitpw.domain.record import Record

SSH = re.compile(r"((?:ssh|ecdsa|sk-ssh|sk-ecdsa)-[A-Za-z0-9@.-]{1,60}) ([A-Za-z0-9+/]{16,16000}={0,2})")
PGP_BEGINS, PGP_ENDS = "-----BEGIN PGP PUBLIC KEY BLOCK-----", "-----END PGP PUBLIC KEY BLOCK-----"


class KeyFormat(StrEnum):
    """As git's `gpg.format` calls them."""

    SSH = "ssh"
    OPENPGP = "openpgp"


class SigningKey(Record):
    """A public key: for ssh `TYPE BASE64`, for openpgp an armored block.

    The fingerprint is what `ssh-keygen -l` shows, or that of the primary key in 40 or 64 hex digits.
    """

    format: KeyFormat
    key: str = Field(max_length=64_000)
    fingerprint: str = Field(max_length=100)

    @model_validator(mode="after")
    def _sound(self) -> Self:
        if self.format is KeyFormat.SSH and self.fingerprint != ssh_fingerprint(self.key):
            raise ValueError("it isn't the key of that fingerprint")
        if self.format is KeyFormat.OPENPGP and not _looks_right(self.key, self.fingerprint):
            raise ValueError("it is no armored public key")
        return self

    @property
    def blob(self) -> bytes:
        """The key as bytes: what ssh signatures carry, or the packets of an openpgp key."""
        if self.format is KeyFormat.SSH:
            return base64.b64decode(self.key.split(" ")[1])
        _, _, body = self.key.replace("\r", "").partition("\n\n")
        lines = body.partition(PGP_ENDS)[0].split("\n")
        return base64.b64decode("".join(line for line in lines if not line.startswith("=")))

    def __str__(self) -> str:
        return f"{self.format.value} {self.fingerprint}"


def ssh_key(line: str) -> SigningKey | None:
    """The key of a line as in `id_ed25519.pub`, its comment left out; None where it is none."""
    found = SSH.match(line.strip())
    if found is None or found[0] != " ".join(line.split()[:2]):
        return None
    fingerprint = ssh_fingerprint(found[0])
    if fingerprint is None:
        return None
    return SigningKey(format=KeyFormat.SSH, key=found[0], fingerprint=fingerprint)


def ssh_fingerprint(key: str) -> str | None:
    """The fingerprint of `TYPE BASE64`; None where the two don't agree, or it is a certificate."""
    found = SSH.fullmatch(key)
    if found is None or "-cert-" in found[1]:
        return None
    try:
        blob = base64.b64decode(found[2], validate=True)
    except ValueError:
        return None
    kind = found[1].encode()
    if not blob.startswith(len(kind).to_bytes(4, "big") + kind):
        return None
    return "SHA256:" + base64.b64encode(hashlib.sha256(blob).digest()).decode().rstrip("=")


def _looks_right(key: str, fingerprint: str) -> bool:
    lines = key.strip()
    armored = lines.startswith(PGP_BEGINS) and lines.endswith(PGP_ENDS) and lines.isascii()
    return armored and re.fullmatch(r"[0-9A-F]{40}|[0-9A-F]{64}", fingerprint) is not None
