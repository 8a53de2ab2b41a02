"""Signing keys for tests: ssh keys, an agent that has some of them, and a home for gpg."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.git import run

if TYPE_CHECKING:
    from collections.abc import Iterator

PASSPHRASE = "a long enough passphrase"

NOBODY = {"SSH_ASKPASS": "/bin/false", "SSH_ASKPASS_REQUIRE": "force"}
"""The environment in which nobody can be asked for a passphrase, be there a terminal or not."""


def require(*programs: str) -> None:
    """Skip the test where a program is missing; in CI, fail."""
    missing = [name for name in programs if shutil.which(name) is None]
    if missing:
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(f"{', '.join(missing)} is missing")


def ssh_key(folder: Path, name: str, passphrase: str = "", kind: str = "ed25519") -> Path:
    """Make a key; the file of its private part, beside which the public one is."""
    require("ssh-keygen")
    file = folder / name
    run(["ssh-keygen", "-q", "-t", kind, "-N", passphrase, "-C", f"{name}@desk", "-f", file])
    return file


@contextmanager
def ssh_agent(*keys: Path) -> Iterator[dict[str, str]]:
    """An agent with some keys, for the time of the block: the variables that lead to it."""
    require("ssh-agent", "ssh-add")
    with tempfile.TemporaryDirectory(prefix="pw-agent-") as folder:
        socket = Path(folder, "agent")
        agent = subprocess.Popen(
            ["ssh-agent", "-D", "-a", str(socket)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        try:
            assert agent.stdout is not None
            agent.stdout.readline()  # it says where it listens once it does
            env = {"SSH_AUTH_SOCK": str(socket)}
            for key in keys:
                _add(key, Path(folder), env)
            yield env
        finally:
            agent.terminate()
            agent.wait(10)
            if agent.stdout is not None:
                agent.stdout.close()


def _add(key: Path, folder: Path, env: dict[str, str]) -> None:
    ask = folder / "ask"
    ask.write_text(f"#!/bin/sh\necho '{PASSPHRASE}'\n")
    ask.chmod(0o700)
    run(["ssh-add", "-q", key], env={**env, "SSH_ASKPASS": str(ask), "SSH_ASKPASS_REQUIRE": "force"})


@contextmanager
def gpg_home(*people: str) -> Iterator[dict[str, str]]:
    """A home for gpg with a key for each person, for the time of the block: the variables that lead to it."""
    require("gpg", "gpgconf")
    with tempfile.TemporaryDirectory(prefix="pw-gpg-", ignore_cleanup_errors=True) as folder:
        env = {"GNUPGHOME": folder}
        try:
            for person in people:
                words = ["--batch", "--passphrase", "", "--quick-gen-key"]
                run(["gpg", *words, f"{person} <{person}@example.com>", "ed25519", "sign", "never"], env=env)
            yield env
        finally:
            with suppress(AssertionError):
                run(["gpgconf", "--homedir", folder, "--kill", "all"])


def fingerprint(person: str, env: dict[str, str]) -> str:
    """The fingerprint of somebody's gpg key."""
    told = run(["gpg", "--batch", "--with-colons", "--list-keys", f"{person}@example.com"], env=env).out
    return next(line.split(":")[9] for line in told.splitlines() if line.startswith("fpr:"))
