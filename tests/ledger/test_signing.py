"""Operations are taken from whom they name alone: each way to forge one is refused, and named."""

from __future__ import annotations

import hashlib
import subprocess
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from gitpw.domain.board import Board
from gitpw.domain.ids import WorkerId
from gitpw.domain.operation import Register, Signing
from gitpw.errors import ConfigError, FailedError, InvalidError
from gitpw.ledger.audit import audited
from gitpw.ledger.objects import Object
from gitpw.ledger.signing import ForgedError, Signed, UnsignableError, parents, split, verify
from tests.domain.test_custody import key, register
from tests.ledger.clients import Arena, Client, Wrapped, author, new_task, wrapped
from tests.support.git import git, run

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from gitpw.domain.signing import SigningKey

LEDGER = "refs/pw/locks/main"
pytestmark = pytest.mark.parametrize("arena", ["path"], indirect=True)


class Pens:
    """Signatures that are a hash of what was signed; whoever has them has some keys, and verifies all."""

    def __init__(self, *names: str) -> None:
        self.keys = [key(name) for name in names]
        self.signed = self.verified = 0

    def sign(self, which: SigningKey, payload: bytes) -> str:
        """Sign, if the key is there."""
        self.signed += 1
        if which not in self.keys:
            raise UnsignableError(f"no key {which}")
        return _made(which, payload)

    def complaints(self, signed: Sequence[Signed]) -> list[str | None]:
        """Compare."""
        self.verified += len(signed)
        return [
            "is not signed"
            if one.signature is None
            else None
            if one.signature == _made(one.key, one.payload)
            else "is signed by another"
            for one in signed
        ]


def _made(which: SigningKey, payload: bytes) -> str:
    return f"-----BEGIN\n\n{which.fingerprint}\n{hashlib.sha256(payload).hexdigest()}\n"


class Forger(Pens):
    """Signs whatever it likes with what it has, and finds nothing wrong with anything."""

    def __init__(self, how: Callable[[bytes], str]) -> None:
        super().__init__()
        self.how = how

    def sign(self, _which: SigningKey, payload: bytes) -> str:
        """Sign with whatever key."""
        return self.how(payload)

    def complaints(self, signed: Sequence[Signed]) -> list[str | None]:
        """Nothing."""
        return [None] * len(signed)


class Swapped(Wrapped):
    """A store that writes more than the operation says."""

    def __init__(self, store: Any, more: dict[Any, bytes | None]) -> None:
        super().__init__(store)
        self.more = more

    def write(self, parent: Any, changes: Any, *rest: Any) -> str:
        """Write that too."""
        return str(self.inner.write(parent, {**changes, **self.more}, *rest))


def person(arena: Arena, worker: str, *keys: str) -> Client:
    """A worker's clone, with its own key and perhaps others."""
    return arena.client(worker=worker, signatures=lambda: Pens(worker, *keys))


def forger(arena: Arena, worker: str, how: Callable[[bytes], str]) -> Client:
    """A clone that acts in a worker's name and signs somehow."""
    return arena.client(worker=worker, signatures=lambda: Forger(how))


@pytest.fixture
def ada(arena: Arena) -> Client:
    """Ada has begun the ledger and has asked for signatures; bob and mallory have registered keys."""
    ada = arena.begun(worker="ada", signatures=lambda: Pens("ada"))
    for worker in ("ada", "bob", "mallory"):
        person(arena, worker).done(register(worker))
    ada.done(Signing(on=True))
    return ada


def refused(reader: Client, arena: Arena, *words: str) -> ForgedError:
    """What is on the remote isn't taken, nothing is built on it, and reads go on with the last good state."""
    good, forged = reader.store.tip(), tip_of(arena)
    with pytest.raises(ForgedError) as refusal:
        reader.ledger.fresh()
    told = refusal.value
    assert all(word in told.message for word in words), told.message
    assert told.exit == 78
    assert (reader.store.tip(), tip_of(arena)) == (good, forged)
    with pytest.raises(ForgedError):
        reader.ask(new_task("on top"))
    assert tip_of(arena) == forged
    board, as_of, error = reader.ledger.freshest()
    assert board.counter == Board(reader.store.cells(good)).counter
    assert (as_of, isinstance(error, ForgedError)) == (None, True)
    return told


def tip_of(arena: Arena) -> str:
    """The state on the remote."""
    assert arena.remote is not None
    return git("rev-parse", LEDGER, cwd=arena.remote.bare)


def push_raw(arena: Arena, raw: bytes) -> str:
    """Make a commit of these bytes the ledger's state, whatever it is."""
    assert arena.remote is not None
    bare = arena.remote.bare
    text = raw.decode()
    made = run(["git", "hash-object", "-t", "commit", "-w", "--stdin"], bare, input=text).out.strip()
    git("update-ref", LEDGER, made, cwd=bare)
    return made


def raw_tip(arena: Arena) -> bytes:
    """The bytes of the commit that is the ledger's state."""
    assert arena.remote is not None
    return run(["git", "cat-file", "commit", LEDGER], arena.remote.bare).out.encode()


def test_what_its_workers_sign_is_taken(arena: Arena, ada: Client) -> None:
    """By everybody, and each operation is verified once."""
    bob, pens = person(arena, "bob"), Pens("bob")
    bob.ledger._signatures = lambda: pens
    bob.done(new_task("one"))
    ada.done(new_task("two"))
    ada.done(new_task("three"))
    seen = pens.verified
    assert bob.titles() == ["one", "two", "three"]
    assert pens.verified == seen + 2
    bob.titles()
    assert pens.verified == seen + 2


def test_unsigned_operation(arena: Arena, ada: Client) -> None:
    """Of somebody who has no key of bob's, or an old program."""
    arena.client(worker="bob").done(new_task("forged"))
    told = refused(ada, arena, "operation 6", tip_of(arena)[:10], "in the name of bob", "is not signed")
    assert (told.data["counter"], told.data["workerId"], told.data["ledger"]) == (6, "bob", "forged")


def test_operation_in_another_workers_name(arena: Arena, ada: Client) -> None:
    """Mallory's own key doesn't sign for bob."""
    forger(arena, "bob", lambda payload: _made(key("mallory"), payload)).done(new_task("forged"))
    refused(ada, arena, "in the name of bob", "signed by another")


def test_signature_of_another_commit(arena: Arena, ada: Client) -> None:
    """A copied one covers something else."""
    person(arena, "bob").done(new_task("real"))
    copied = split(raw_tip(arena))[1]
    forger(arena, "bob", lambda _: str(copied)).done(new_task("forged"))
    refused(ada, arena, "in the name of bob")


def test_content_that_was_changed_afterwards(arena: Arena, ada: Client) -> None:
    """The message, with the signature as it was."""
    person(arena, "bob").done(new_task("harmless"))
    push_raw(arena, raw_tip(arena).replace(b"harmless", b"harmful!"))
    refused(ada, arena, "in the name of bob", "signed by another")


def test_second_signature(arena: Arena, ada: Client) -> None:
    """A commit has one, or it has none."""
    person(arena, "bob").done(new_task("real"))
    head, _, message = raw_tip(arena).partition(b"\n\n")
    push_raw(arena, head + b"\ngpgsig x\n y\n\n" + message)
    refused(ada, arena, "is not signed")


def test_key_that_is_swapped_in_the_tree(arena: Arena, ada: Client) -> None:
    """By an operation that is well signed by its own worker, and says nothing of keys."""
    mallory = person(arena, "mallory")
    wrapped(mallory, lambda store: Swapped(store, {("signers", "bob"): key("mallory").to_json()}))
    mallory.done(new_task("harmless"))
    refused(ada, arena, "in the name of mallory", "changes a key that it doesn't name")


def test_keys_are_guarded_while_signing_is_off(arena: Arena) -> None:
    """Or a key could be swapped before it is turned on."""
    ada = arena.begun(worker="ada", signatures=lambda: Pens("ada"))
    ada.done(register("ada"))
    person(arena, "bob").done(register("bob"))
    assert ada.ledger.fresh().signer(WorkerId("bob")) == key("bob")
    rogue = arena.client(worker="bob")
    rogue.done(new_task("unsigned, as it may be"))
    ada.titles()
    rogue.done(register("bob", "mallory"))
    refused(ada, arena, "in the name of bob", "is not signed")


def test_signing_that_is_turned_off_in_the_tree(arena: Arena, ada: Client) -> None:
    """Or administrators that are made there."""
    mallory = person(arena, "mallory")
    board = mallory.ledger.fresh()
    for settings in (
        board.settings.but(signed=False),
        board.settings.but(administrators=(WorkerId("mallory"),)),
    ):
        before = tip_of(arena)
        other = person(arena, "mallory")
        wrapped(other, lambda store, new=settings: Swapped(store, {("settings",): new.to_json()}))
        other.done(new_task("harmless"))
        refused(ada, arena, "changes who must sign")
        push_raw(arena, raw_tip(arena))
        assert arena.remote is not None
        git("update-ref", LEDGER, before, cwd=arena.remote.bare)


def test_registration_that_is_played_again(arena: Arena, ada: Client) -> None:
    """An old one, word for word, on the state of now."""
    bob = person(arena, "bob", "new")
    ada.titles()
    old = next(entry for entry in ada.ledger.history() if entry.subject.startswith("register bob"))
    bob.done(register("bob", "new"))
    ada.titles()
    raw = ada.store.raw(old.commit)
    assert raw is not None
    before = parents(raw)
    push_raw(arena, raw.replace(before[0].encode(), tip_of(arena).encode()))
    refused(ada, arena, "doesn't follow operation")


def test_new_key_that_the_old_one_did_not_sign(arena: Arena, ada: Client) -> None:
    """Whoever steals a name has not the key to it."""
    forger(arena, "bob", lambda payload: _made(key("new"), payload)).done(register("bob", "new"))
    refused(ada, arena, "in the name of bob", "signed by another")


def test_old_operations_stay_valid_after_a_rotation(arena: Arena, ada: Client) -> None:
    """Each by the key of its own counter, for whoever verifies them later."""
    late, bob = person(arena, "mallory"), person(arena, "bob", "new")
    late.titles()
    bob.done(new_task("with the old key"))
    bob.done(register("bob", "new"))
    bob.done(new_task("with the new key"))
    assert late.titles() == ["with the old key", "with the new key"]
    assert ada.titles() == late.titles()


def test_state_that_does_not_follow(arena: Arena, ada: Client) -> None:
    """A made-up history that ends in the same state and goes on."""
    bob = person(arena, "bob")
    bob.done(new_task("real"))
    ada.titles()
    raw = raw_tip(arena)
    without = b"\n".join(line for line in raw.split(b"\n") if not line.startswith(b"parent "))
    root = push_raw(arena, without)
    impostor = arena.client(worker="bob")
    impostor.done(new_task("forged"))
    assert root != raw
    refused(ada, arena, "doesn't follow from the last state that was verified here")


def test_old_beginning_is_no_new_one(arena: Arena, ada: Client) -> None:
    """A restored ledger, all well signed, from which another goes on than the one that is known."""
    ada.titles()
    assert arena.remote is not None
    git("update-ref", "-d", LEDGER, cwd=arena.remote.bare)
    ada.ledger.restore(author("ada"), "gone")
    ada.titles()
    root = tip_of(arena)
    ada.done(new_task("real"))
    known = tip_of(arena)
    git("update-ref", LEDGER, root, cwd=arena.remote.bare)
    mallory = person(arena, "mallory")
    mallory.done(new_task("another"))
    fork = tip_of(arena)
    ada.store.fetch()
    with pytest.raises(ForgedError, match="doesn't follow from the last state that was verified here"):
        verify(ada.store, Pens, known, fork)


def test_merge_is_none(arena: Arena, ada: Client) -> None:
    """One line of history."""
    base = tip_of(arena)
    person(arena, "bob").done(new_task("real"))
    raw = raw_tip(arena)
    push_raw(arena, raw.replace(b"\nauthor", f"\nparent {base}\nauthor".encode(), 1))
    refused(ada, arena, "is a merge")


def test_fresh_clone_verifies_the_tip_by_the_state_before(arena: Arena, ada: Client) -> None:
    """Also where that is a rotation; it remembers from where on, and can look further back."""
    bob = person(arena, "bob", "new")
    bob.done(new_task("one"))
    bob.done(register("bob", "new"))
    said: list[str] = []
    late = arena.client(worker="mallory", signatures=lambda: Pens("mallory"), tell=said.append)
    assert late.titles() == ["one"]
    assert late.ledger.verified_from() == 7
    assert said == ["operations are signed here: verified from 7 on"]
    ada.done(new_task("two"))
    assert late.titles() == ["one", "two"]
    late.store.deepen()
    late.ledger.verify_past()
    assert late.ledger.verified_from() is None


def test_fresh_clone_takes_no_forged_tip(arena: Arena, ada: Client) -> None:
    """It knows no better state, so it has none."""
    del ada
    arena.client(worker="bob").done(new_task("forged"))
    late = person(arena, "mallory")
    with pytest.raises(ForgedError):
        late.ledger.freshest()
    assert late.store.tip() is None


def test_past_that_was_forged_is_found(arena: Arena, ada: Client) -> None:
    """By whoever joined later, when it looks back: somebody with a key had built on it."""
    del ada
    arena.client(worker="bob").done(new_task("forged"))
    forger(arena, "mallory", lambda payload: _made(key("mallory"), payload)).done(new_task("on top"))
    late = person(arena, "ada")
    assert late.titles() == ["forged", "on top"]
    late.store.deepen()
    with pytest.raises(ForgedError, match=r"in the name of bob, is not signed") as refusal:
        late.ledger.verify_past()
    assert "doctor" not in str(refusal.value.hint)


def test_last_verified_state_is_put_back(arena: Arena, ada: Client) -> None:
    """Anybody may; the forged one is kept as evidence, and all goes on."""
    bob = person(arena, "bob")
    bob.titles()
    good = tip_of(arena)
    arena.client(worker="bob").done(new_task("forged"))
    forged = tip_of(arena)
    assert bob.ledger.put_back() == forged
    assert (tip_of(arena), bob.store.marked(f"refs/pw/forged/{forged}")) == (good, forged)
    ada.done(new_task("real"))
    assert bob.titles() == ["real"]
    with pytest.raises(FailedError, match="nothing to be put back"):
        bob.ledger.put_back()


def test_forged_state_is_no_news(arena: Arena, ada: Client) -> None:
    """That it was asked for doesn't make the last known one any younger."""
    ada.titles()
    ada.store.unask(None)
    arena.client(worker="bob").done(new_task("forged"))
    refused(ada, arena)
    asked = ada.store.asked()
    assert asked is not None
    assert asked.year == 1970


def test_key_that_can_not_sign_writes_nothing(arena: Arena, ada: Client) -> None:
    """Neither to the remote nor to the journal."""
    ada.titles()
    before = tip_of(arena)
    bob = arena.client(worker="bob", signatures=lambda: Pens("mallory"))
    with pytest.raises(FailedError, match="no key ssh SHA256:"):
        bob.ask(new_task("real"))
    assert tip_of(arena) == before
    assert list(bob.journal.left()) == []


def test_key_that_was_replaced_meanwhile(arena: Arena, ada: Client) -> None:
    """The last known state names the old one, which is lost: the current one is asked for before it is given up."""
    bob = person(arena, "bob")
    bob.titles()
    ada.done(register("bob", "new", force=True, reason="lost"))
    bob.ledger._signatures = lambda: Pens("new")
    bob.done(new_task("with the new key"))
    assert ada.titles() == ["with the new key"]


def test_signed_ledger_is_restored_by_an_administrator(arena: Arena, ada: Client) -> None:
    """Others refuse the state of anybody else, whatever is in it."""
    bob = person(arena, "bob")
    bob.done(new_task("kept"))
    ada.titles()
    assert arena.remote is not None
    git("update-ref", "-d", LEDGER, cwd=arena.remote.bare)
    with pytest.raises(FailedError, match="only an administrator"):
        bob.ledger.restore(author("bob"), "gone")
    ada.ledger.restore(author("ada"), "gone")
    assert split(raw_tip(arena))[1] is not None
    assert bob.titles() == ["kept"]
    person(arena, "mallory").done(new_task("after"))
    assert bob.titles() == ["kept", "after"]


def test_restored_state_of_nobody_is_refused(arena: Arena, ada: Client) -> None:
    """A root without a signature, as old programs make them."""
    ada.titles()
    rogue = arena.client(worker="ada")
    rogue.titles()
    assert arena.remote is not None
    git("update-ref", "-d", LEDGER, cwd=arena.remote.bare)
    rogue.ledger.restore(author("ada"), "gone")
    refused(ada, arena, "in the name of ada", "is not signed")


def test_keys_are_not_swapped_by_a_restored_state(arena: Arena) -> None:
    """While signing is off, whoever may push may restore; but keys that are known stay what they were."""
    ada = arena.begun(worker="ada", signatures=lambda: Pens("ada"))
    ada.done(register("ada"))
    rogue = arena.client(worker="mallory")
    rogue.titles()
    wrapped(rogue, lambda store: Swapped(store, {("signers", "ada"): key("mallory").to_json()}))
    assert arena.remote is not None
    git("update-ref", "-d", LEDGER, cwd=arena.remote.bare)
    rogue.ledger.restore(author("mallory"), "gone")
    refused(ada, arena, "was restored with other keys")


class Bare:
    """The objects of a bare repository, each by a git of its own."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self, name: str) -> Object | None:
        """The object of that name."""
        found = run(["git", "rev-parse", "--verify", "--quiet", name], self.path, check=False)
        if found.exit:
            return None
        kind = git("cat-file", "-t", found.out.strip(), cwd=self.path)
        words = ["git", "cat-file", kind, found.out.strip()]
        content = subprocess.run(words, cwd=self.path, capture_output=True, check=True).stdout
        return Object(found.out.strip(), kind, content)


def audit(arena: Arena, old: str | None, **about: Any) -> int:
    """How many operations a guarded server would let in."""
    assert arena.remote is not None
    now = datetime.now(UTC)
    about = {"signatures": Pens, **about}
    return len(audited(Bare(arena.remote.bare), old, tip_of(arena), now, **about))


def test_server_lets_in_what_is_signed_alone(arena: Arena, ada: Client) -> None:
    """All of the history, or what is new; a server that can't verify lets in nothing that must be."""
    assert audit(arena, None) == 5
    good = tip_of(arena)
    ada.done(new_task("real"))
    assert audit(arena, good) == 1
    with pytest.raises(InvalidError, match="signatures can't be verified here"):
        audit(arena, good, signatures=None)
    arena.client(worker="bob").done(new_task("forged"))
    with pytest.raises(InvalidError, match=r"operation 7 .* in the name of bob, is not signed") as refusal:
        audit(arena, good)
    assert "git pw worker register --signing-key" in str(refusal.value.hint)


def test_server_refuses_keys_that_are_swapped_in_the_tree(arena: Arena, ada: Client) -> None:
    """And whatever else the operation doesn't make of the state before, signed or not."""
    good = tip_of(arena)
    mallory = person(arena, "mallory")
    wrapped(mallory, lambda store: Swapped(store, {("signers", "ada"): key("mallory").to_json()}))
    mallory.done(new_task("harmless"))
    with pytest.raises(InvalidError, match="its state is not what 'add' makes of the one before"):
        audit(arena, good)
    del ada


def test_server_lets_in_what_an_administrator_restored(arena: Arena, ada: Client) -> None:
    """Where there is no ledger, by the keys in it; over one that is there, by those that were known."""
    good = tip_of(arena)
    ada.titles()
    assert arena.remote is not None
    git("update-ref", "-d", LEDGER, cwd=arena.remote.bare)
    ada.ledger.restore(author("ada"), "gone")
    assert audit(arena, None) == audit(arena, good, restart=True) == 1
    raw = raw_tip(arena)
    push_raw(arena, split(raw)[0])
    with pytest.raises(InvalidError, match="in the name of ada, is not signed"):
        audit(arena, good, restart=True)


def test_nothing_is_asked_where_nothing_is_signed(arena: Arena) -> None:
    """Neither to sign nor to verify."""

    def never() -> Any:
        raise AssertionError("asked for signatures")

    one = arena.begun(worker="ada", signatures=never)
    other = arena.client(worker="bob", signatures=never)
    other.done(Register(id=WorkerId("bob"), skills=("sql",)))
    other.done(new_task("one"))
    one.done(new_task("two"))
    assert other.titles() == ["one", "two"]


def test_what_can_not_be_read_is_not_forged(arena: Arena, ada: Client) -> None:
    """A newer program may have made it: that is said, and nothing is taken."""
    person(arena, "bob").done(new_task("new"))
    push_raw(arena, raw_tip(arena).replace(b'"verb":"add"', b'"verb":"adorn"'))
    with pytest.raises(ConfigError, match=r"operation 6 .* can't be read") as refusal:
        ada.ledger.fresh()
    assert not isinstance(refusal.value, ForgedError)
