"""Signatures by the real programs: found, made and verified as git does it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from gitpw.adapters.signing import GitSigning
from gitpw.domain.ids import WorkerId
from gitpw.domain.signing import KeyFormat, SigningKey
from gitpw.errors import FailedError, InvalidError
from gitpw.ledger.signing import Signed
from tests.support.git import run
from tests.support.keys import NOBODY, PASSPHRASE, fingerprint, gpg_home, ssh_agent, ssh_key

if TYPE_CHECKING:
    from collections.abc import Mapping

PAYLOAD = b"tree 4b825dc642cb6eb9a060e54bf8d69288fbee4904\n\nwork\n"


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody is there to be asked."""
    for name, value in NOBODY.items():
        monkeypatch.setenv(name, value)


def signing(tmp_path: Path, **config: str) -> GitSigning:
    """A clone's signing, by these settings of git."""
    known = {name.replace("__", "."): value for name, value in config.items()}
    return GitSigning(known.get, os.environ, tmp_path / "pw")


def join(monkeypatch: pytest.MonkeyPatch, env: Mapping[str, str]) -> None:
    """Let an agent be found."""
    for name, value in env.items():
        monkeypatch.setenv(name, value)


def signed(key: SigningKey, signature: str | None, payload: bytes = PAYLOAD) -> Signed:
    """A commit that is to be signed by a key."""
    return Signed("c" * 40, 7, WorkerId("bob"), key, payload, signature)


def test_private_key_signs_and_nothing_else_passes(tmp_path: Path) -> None:
    """Each complaint is about its own commit, whatever comes before it."""
    one, other = ssh_key(tmp_path, "one"), ssh_key(tmp_path, "other key")
    pens = signing(tmp_path)
    key, place = pens.find(str(one))
    rival, rival_place = pens.find(str(other) + ".pub")
    assert (place, rival_place) == (str(one), str(other) + ".pub")
    for found, where in ((key, place), (rival, rival_place)):
        pens.remember(found, str(where))
    good, theirs = pens.sign(key, PAYLOAD), pens.sign(rival, PAYLOAD)
    told = pens.complaints(
        [
            signed(key, good),
            signed(key, None),
            signed(key, theirs),
            signed(rival, theirs),
            signed(key, good, PAYLOAD + b"!"),
            signed(key, "-----BEGIN SSH SIGNATURE-----\nrubbish\n-----END SSH SIGNATURE-----\n"),
            signed(key, "-----BEGIN PGP SIGNATURE-----\n\nx\n-----END PGP SIGNATURE-----\n"),
        ]
    )
    changed = f"is not signed by its key, {key}, or was changed afterwards"
    assert told == [
        None, "is not signed", changed, None, changed, changed, f"is not signed by {key}",
    ]  # fmt: skip
    assert pens.complaints([signed(key, good)]) == [None]


def test_signature_for_another_purpose_is_none(tmp_path: Path) -> None:
    """The namespace is git's: what signs files or mails doesn't sign operations."""
    file = ssh_key(tmp_path, "one")
    key, _ = signing(tmp_path).find(str(file))
    content = tmp_path / "content"
    content.write_bytes(PAYLOAD)
    run(["ssh-keygen", "-Y", "sign", "-n", "file", "-f", file, content])
    assert signing(tmp_path).complaints([signed(key, (tmp_path / "content.sig").read_text())]) != [None]


@pytest.mark.parametrize("kind", ["rsa", "ecdsa"])
def test_other_kinds_of_ssh_keys(tmp_path: Path, kind: str) -> None:
    """As git takes them."""
    file = ssh_key(tmp_path, "one", kind=kind)
    pens = signing(tmp_path, pw__signingkey=str(file))
    key, _ = pens.find(str(file))
    assert pens.complaints([signed(key, pens.sign(key, PAYLOAD))]) == [None]


def test_key_that_only_the_agent_has(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Given as a public key, a file of one, or by its fingerprint; the file of the private part is gone."""
    file = ssh_key(tmp_path, "one", PASSPHRASE)
    public = Path(f"{file}.pub").read_text()
    with ssh_agent(file) as env:
        join(monkeypatch, env)
        file.unlink()
        pens = signing(tmp_path)
        key, place = pens.find(public)
        assert place is None
        assert pens.find(f"key::{public}") == pens.find(key.fingerprint) == (key, None)
        assert pens.find(f"{file}.pub") == (key, f"{file}.pub")
        assert pens.complaints([signed(key, pens.sign(key, PAYLOAD))]) == [None]
        with pytest.raises(InvalidError, match=r"the ssh agent has no key SHA256:x"):
            pens.find("SHA256:x")
    with pytest.raises(FailedError, match="no file of it is known here") as refusal:
        pens.sign(key, PAYLOAD)
    assert "nothing was written; ssh-add" in str(refusal.value.hint)


def test_key_with_a_passphrase_needs_the_agent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is said how to give it to the agent, and it isn't needed a second time."""
    file = ssh_key(tmp_path, "one", PASSPHRASE)
    pens = signing(tmp_path, user__signingkey=str(file))
    key, _ = pens.find(str(file))
    with pytest.raises(FailedError, match="has a passphrase, and the ssh agent doesn't have it") as refusal:
        pens.sign(key, PAYLOAD)
    assert refusal.value.hint == f"nothing was written; let the agent have it: ssh-add {file}"
    with ssh_agent(file) as env:
        join(monkeypatch, env)
        assert pens.complaints([signed(key, pens.sign(key, PAYLOAD))]) == [None]
    Path(f"{file}.pub").unlink()
    with pytest.raises(InvalidError, match=r"has a passphrase and there is no .*one\.pub"):
        pens.find(str(file))


def test_agent_without_the_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that has others."""
    one, other = ssh_key(tmp_path, "one"), ssh_key(tmp_path, "other")
    key, _ = signing(tmp_path).find(f"{one}.pub")
    with ssh_agent(other) as env:
        join(monkeypatch, env)
        with pytest.raises(FailedError, match="the ssh agent doesn't have it"):
            signing(tmp_path).sign(key, PAYLOAD)


def test_private_part_is_found_where_it_was_noted_or_configured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first that is the right one: of a wrong one no signature is made."""
    one, other = ssh_key(tmp_path, "one"), ssh_key(tmp_path, "other")
    key, _ = signing(tmp_path).find(f"{one}.pub")
    wrong = signing(tmp_path, user__signingkey=str(other))
    with pytest.raises(FailedError, match="no file of it is known here"):
        wrong.sign(key, PAYLOAD)
    monkeypatch.setenv("GITPW_SIGNING_KEY", str(one))
    assert wrong.sign(key, PAYLOAD)
    monkeypatch.delenv("GITPW_SIGNING_KEY")
    assert signing(tmp_path, pw__signingkey=str(one), user__signingkey=str(other)).sign(key, PAYLOAD)
    wrong.remember(key, str(one))
    assert signing(tmp_path).sign(key, PAYLOAD)


def test_what_git_signs_with(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By user.signingKey, by a command, and by nothing at all."""
    file = ssh_key(tmp_path, "one")
    public = Path(f"{file}.pub").read_text().strip()
    as_ssh = {"gpg__format": "ssh"}
    monkeypatch.setenv("HOME", str(tmp_path))
    key, place = signing(tmp_path, **as_ssh, user__signingkey="~/one.pub").find("git")
    assert place == f"{file}.pub"
    assert signing(tmp_path, **as_ssh, user__signingkey=f"key::{public}").find("git") == (key, None)
    by_command = signing(tmp_path, **as_ssh, gpg__ssh__defaultkeycommand=f"echo 'key::{public}'")
    assert by_command.find("git") == (key, None)
    for config in ({}, as_ssh, {"gpg__format": "x509"}, {**as_ssh, "user__signingkey": "git"}):
        with pytest.raises(InvalidError):
            signing(tmp_path, **config).find("git")


@pytest.mark.parametrize("text", ["", "nobody@example.com", "--help", "/none", "SHA256", "ssh-ed25519 AAAA"])
def test_what_is_no_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    """Neither a file nor anything that gpg knows."""
    with gpg_home() as env:
        join(monkeypatch, env)
        with pytest.raises(InvalidError):
            signing(tmp_path).find(text)


def test_files_that_hold_no_key(tmp_path: Path) -> None:
    """A text, a certificate, nothing."""
    for number, text in enumerate(["", "hello\n", "ssh-ed25519-cert-v01@openssh.com AAAA x\n", "\0\xff"]):
        file = tmp_path / str(number)
        file.write_text(text)
        with pytest.raises(InvalidError, match="holds no key that can be used"):
            signing(tmp_path).find(str(file))


def test_program_of_git_s_configuration_signs(tmp_path: Path) -> None:
    """Called as git calls it, with a file beside which the signature turns up."""
    file = ssh_key(tmp_path, "one")
    program = tmp_path / "sign program"
    program.write_text(f'#!/bin/sh\necho "$*" >>{tmp_path}/called\nexec ssh-keygen "$@"\n')
    program.chmod(0o755)
    pens = signing(tmp_path, gpg__ssh__program=str(program), pw__signingkey=str(file))
    key, _ = pens.find(str(file))
    assert pens.complaints([signed(key, pens.sign(key, PAYLOAD))]) == [None]
    assert (tmp_path / "called").read_text().startswith(f"-Y sign -n git -f {file} /")
    with pytest.raises(FailedError, match="no-such-program was not found"):
        signing(tmp_path, gpg__ssh__program="no-such-program", pw__signingkey=str(file)).sign(key, PAYLOAD)


def test_gpg_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Found by fingerprint, address or file; verified by whoever has no keyring at all."""
    with gpg_home("dana", "bob") as env:
        join(monkeypatch, env)
        pens = signing(tmp_path, user__email="dana@example.com")
        name = fingerprint("dana", env)
        key, place = pens.find(name)
        assert (key.format, key.fingerprint, place) == (KeyFormat.OPENPGP, name, None)
        assert pens.find("dana@example.com")[0].fingerprint == pens.find("git")[0].fingerprint == name
        (tmp_path / "dana.asc").write_text(key.key)
        assert pens.find(str(tmp_path / "dana.asc"))[0] == key
        rival, _ = pens.find("bob@example.com")
        good, theirs = pens.sign(key, PAYLOAD), pens.sign(rival, PAYLOAD)
        with pytest.raises(InvalidError, match=r"gpg has several secret keys for 'example\.com'"):
            pens.find("example.com")
    with gpg_home() as env:
        join(monkeypatch, env)
        told = pens.complaints(
            [signed(key, good), signed(key, theirs), signed(key, good, b"other"), signed(rival, theirs)]
        )
        assert [one is None for one in told] == [True, False, False, True]
        with pytest.raises(FailedError, match=f"the signing key openpgp {name} can't sign") as refusal:
            pens.sign(key, PAYLOAD)
        assert f"gpg -bsau {name}" in str(refusal.value.hint)


def test_gpg_key_that_has_expired_since(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The ledger's own copy decides: what was signed while it was registered stays signed."""
    with gpg_home("dana") as env:
        join(monkeypatch, env)
        pens = signing(tmp_path)
        key, _ = pens.find("dana@example.com")
        good = pens.sign(key, PAYLOAD)
        run(["gpg", "--batch", "--quick-set-expire", key.fingerprint, "seconds=1"], env=env)
        run(["sleep", "1.1"])
        later = pens.find("dana@example.com")[0]
        assert later.key != key.key
        assert pens.complaints([signed(later, good), signed(key, good)]) == [None, None]
