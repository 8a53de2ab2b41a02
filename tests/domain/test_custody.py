"""Which key must sign an operation, and who may change keys."""

from __future__ import annotations

import base64

import pytest
from pydantic import ValidationError

from gitpw.domain.custody import required
from gitpw.domain.ids import WorkerId
from gitpw.domain.operation import Add, NewTask, Refused, Register, Restore, Signing, Unlock, Unregister
from gitpw.domain.signing import KeyFormat, SigningKey, ssh_fingerprint, ssh_key
from tests.domain.state import State

KIND = "ssh-ed25519"
WORK = Add(tasks=(NewTask(title="work"),))


def key(name: str) -> SigningKey:
    """A key that looks like one."""
    blob = len(KIND).to_bytes(4, "big") + KIND.encode() + b"\0\0\0\x20" + name.encode().ljust(32, b".")
    found = ssh_key(f"{KIND} {base64.b64encode(blob).decode()} {name}@desk")
    assert found is not None
    return found


def register(worker: str, name: str | None = None, **about: object) -> Register:
    """A worker with a key of that name, its own if none is given."""
    return Register(id=WorkerId(worker), signing_key=key(name or worker), **about)


@pytest.fixture
def state() -> State:
    """Ada and bob have keys, and ada has turned signing on; carol is registered without a key."""
    state = State()
    state.done(register("ada"), "ada")
    state.done(register("bob"), "bob")
    state.done(Register(id=WorkerId("carol")), "carol")
    state.done(Signing(on=True), "ada")
    return state


def needed(state: State, request: object, worker: str) -> object:
    """The key that a request needs: its owner's name, None, or the message of the refusal."""
    found = required(state.board, state.operation(request, worker))
    if found is None or isinstance(found, Refused):
        return found and found.message
    return next(name for name in ("ada", "bob", "carol", "dave", "new") if key(name) == found)


def test_nothing_is_signed_where_nobody_asked_for_it() -> None:
    """Nor are there any administrators."""
    state = State()
    assert needed(state, WORK, "ada") is None
    assert (state.board.settings.signed, state.board.settings.administrators) == (False, ())


def test_every_operation_is_signed_by_its_worker(state: State) -> None:
    """Whoever asks, and whatever for; without a key nothing is asked for but one."""
    assert needed(state, WORK, "ada") == "ada"
    assert needed(state, Unlock(all=True, force=True, reason="late"), "bob") == "bob"
    refused = state.refused(WORK, "carol")
    assert refused.message == "operations are signed here, and carol has registered no key to sign with"
    assert refused.hint == "git pw worker register --signing-key FILE"
    assert refused.code == "invalid"
    assert needed(state, Register(id=WorkerId("dave")), "dave") == refused.message.replace("carol", "dave")


def test_first_key_is_proved_by_itself_or_vouched_for(state: State) -> None:
    """By a worker that has a key; whether signing is on or not."""
    assert needed(state, register("dave"), "dave") == "dave"
    assert needed(state, register("dave"), "bob") == "bob"
    assert "carol has registered no key" in str(needed(state, register("dave"), "carol"))
    off = State()
    assert needed(off, register("dave"), "dave") == "dave"
    assert "this is signed" in off.refused(register("dave"), "carol").message


def test_new_key_is_signed_by_the_old_one(state: State) -> None:
    """What was signed before stays signed by the key of then: each state has its own."""
    assert needed(state, register("bob", "new"), "bob") == "bob"
    before = state.board
    state.done(register("bob", "new"), "bob")
    assert needed(state, WORK, "bob") == "new"
    assert before.signer(WorkerId("bob")) == key("bob")
    state.done(Signing(on=False), "ada")
    assert needed(state, register("bob", "bob"), "bob") == "new", "also while signing is off"


def test_lost_key_is_replaced_by_an_administrator(state: State) -> None:
    """By force and for a reason, which is on record; nobody else may."""
    assert "only its own signature replaces" in state.refused(register("bob", "new"), "ada").message
    forced = register("bob", "new", force=True, reason="the laptop was stolen")
    state.done(register("dave"), "dave")
    refused = state.refused(forced, "dave")
    assert (refused.message, refused.hint) == (
        "only an administrator replaces the key of another worker",
        "ask ada",
    )
    assert needed(state, forced, "ada") == "ada"
    assert state.done(forced, "ada").detail == {"worker": "bob", "signingKey": key("new").fingerprint}


def test_before_there_are_administrators_whoever_has_a_key_may_replace_one() -> None:
    """There is nobody to ask yet; it is on record all the same."""
    state = State()
    state.done(register("bob"), "bob")
    forced = register("bob", "new", force=True, reason="lost")
    assert "has registered no key" in state.refused(forced, "ada").message
    state.done(register("ada"), "ada")
    assert needed(state, forced, "ada") == "ada"


def test_administrators_alone_turn_it_off_and_name_others(state: State) -> None:
    """Those that are named must have keys; whoever turns it on first is one."""
    assert state.board.settings.administrators == ("ada",)
    assert state.refused(Signing(on=False), "bob").message == "only an administrator turns signing on or off"
    refused = state.refused(Signing(on=True, administrators=(WorkerId("carol"),)), "ada")
    assert refused.message == "carol can't be an administrator: it has registered no signing key"
    state.done(Signing(on=True, administrators=(WorkerId("bob"),)), "ada")
    state.refused(Signing(on=False), "ada")
    assert needed(state, Signing(on=False), "bob") == "bob"
    state.done(Signing(on=False), "bob")
    assert needed(state, WORK, "carol") is None
    assert "only an administrator" in state.refused(Signing(on=True), "ada").message
    assert state.done(Signing(on=True), "bob").changed
    assert not state.done(Signing(on=True), "bob").changed


def test_turning_it_on_needs_a_key() -> None:
    """And is signed itself."""
    state = State()
    assert "this is signed, and ada has registered no key" in state.refused(Signing(on=True), "ada").message
    state.done(register("ada"), "ada")
    assert needed(state, Signing(on=True), "ada") == "ada"


def test_name_with_a_key_is_not_given_away(state: State) -> None:
    """Only its worker or an administrator unregisters it; then it is free, and the key is gone."""
    state.done(register("dave"), "dave")
    assert "only an administrator" in state.refused(Unregister(id=WorkerId("dave")), "bob").message
    assert needed(state, Unregister(id=WorkerId("dave")), "ada") == "ada"
    state.done(Unregister(id=WorkerId("dave")), "dave")
    assert state.board.signer(WorkerId("dave")) is None
    refused = state.refused(Unregister(id=WorkerId("ada")), "ada")
    assert refused.message == "ada is an administrator of the ledger"


def test_restoring_a_signed_ledger_is_for_administrators(state: State) -> None:
    """Its state isn't made by the operations before it, so whoever makes it up must be trusted with all of it."""
    assert "only an administrator" in state.refused(Restore(reason="gone"), "bob").message
    assert needed(state, Restore(reason="gone"), "ada") == "ada"


def test_other_changes_of_a_worker_need_no_key_of_it(state: State) -> None:
    """A registration that names the key that is registered is none of a key."""
    same = register("bob", skills=("sql",))
    assert needed(state, same, "ada") == "ada"
    state.done(same, "ada")
    assert state.board.signer(WorkerId("bob")) == key("bob")
    assert not state.done(register("bob"), "bob").changed


def test_keys_of_workers_are_one_record_each(state: State) -> None:
    """Whatever can't be read is named."""
    assert dict(state.board.signers()) == {"ada": key("ada"), "bob": key("bob")}
    state.cells.contents["signers", "bob"] = b'{"format":"ssh","key":"ssh-rsa AAAA","fingerprint":"SHA256:x"}'
    assert any("signers" in line for line in state.board.broken())


@pytest.mark.parametrize(
    "line",
    [
        "",
        "ssh-ed25519",
        "ssh-ed25519 AAAA",
        "ssh-rsa " + key("ada").key.split()[1],
        key("ada").key.replace("ssh-ed25519", "ssh-ed25519-cert-v01@openssh.com"),
        "command=rm " + key("ada").key,
        key("ada").key[:-3] + "!!!",
        "-----BEGIN OPENSSH PRIVATE KEY-----",
    ],
)
def test_what_is_no_public_key(line: str) -> None:
    """A kind that isn't the one within, a certificate, options, half a key."""
    assert ssh_key(line) is None


def test_key_is_read_with_or_without_its_comment() -> None:
    """And has the fingerprint that ssh-keygen shows."""
    real = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIPd/voix0Ud5ssrfWuIJM0oVGQ5+u+XEwVUh+DehLkQ1"
    assert ssh_key(f"  {real}  dana@desk, my key\n") == ssh_key(real)
    assert str(ssh_key(real)) == f"ssh {ssh_fingerprint(real)}"


@pytest.mark.parametrize(
    ("kind", "text", "fingerprint"),
    [
        (KeyFormat.SSH, key("ada").key, key("bob").fingerprint),
        (KeyFormat.SSH, key("ada").key + "\n" + key("bob").key, key("ada").fingerprint),
        (KeyFormat.OPENPGP, key("ada").key, "A" * 40),
        (
            KeyFormat.OPENPGP,
            "-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nx\n-----END PGP PUBLIC KEY BLOCK-----",
            "a",
        ),
    ],
)
def test_record_that_lies_is_none(kind: KeyFormat, text: str, fingerprint: str) -> None:
    """The fingerprint is that of the key, which is one line or one block."""
    with pytest.raises(ValidationError):
        SigningKey(format=kind, key=text, fingerprint=fingerprint)
