"""Signed operations, from the registration of keys to the landing of work, with real keys in real clones."""

from __future__ import annotations

import os
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.cli import Result, pw
from tests.support.git import clone, git, run
from tests.support.keys import NOBODY, PASSPHRASE, fingerprint, gpg_home, ssh_agent, ssh_key

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.conftest import Remote, Sealed

LEDGER = "refs/pw/locks/main"

over = pytest.mark.parametrize(
    "remote", ["path", pytest.param("http", marks=pytest.mark.server)], indirect=True
)
quickly = pytest.mark.parametrize("remote", ["path"], indirect=True)


@dataclass
class Clone:
    """One worker's clone, and its key."""

    work: Path
    worker: str
    bare: Path
    key: Path

    def pw(
        self,
        *words: str,
        check: int | None = 0,
        cwd: Path | None = None,
        env: Mapping[str, str | None] | None = None,
    ) -> Result:
        """Run git-pw as this worker."""
        env = {"GITPW_WORKER": self.worker, **NOBODY, **(env or {})}
        return pw(*words, cwd=cwd or self.work, env=env, check=check)

    def register(self) -> None:
        """Register the key."""
        self.pw("worker", "register", "--signing-key", str(self.key))

    def work_on(self, task: str, file: str) -> str:
        """Claim a task, change a file and hand it in."""
        tree = Path(self.pw("claim", task).data["worktree"])
        (tree / file).write_text(f"{task}\n")
        git("add", "-A", cwd=tree)
        run(["git", "commit", "-qm", task], tree, {"GITPW_WORKER": self.worker})
        self.pw("complete", cwd=tree)
        return task

    @property
    def store(self) -> Path:
        """Where its copy of the ledger is."""
        return self.work / ".git/pw/store.git"

    def shown(self) -> list[tuple[str, str, str]]:
        """What git says of the signatures of all operations, oldest first: verdict, signer, subject."""
        allowed = self.work.parent / "allowed"
        allowed.write_text(self.pw("signing").data["allowedSigners"])
        words = ["-c", f"gpg.ssh.allowedSignersFile={allowed}", "log", "--reverse", "--format=%G?|%GS|%s"]
        told = run(["git", *words, "refs/pw/tip"], self.store).out
        return [tuple(line.split("|", 2)) for line in told.splitlines()]  # type: ignore[misc]


def cloned(remote: Remote, folder: Path, worker: str) -> Clone:
    """A clone for a worker."""
    return Clone(clone(remote.url, folder / worker), worker, remote.bare, ssh_key(folder, f"{worker} key"))


@pytest.fixture
def alice(remote: Remote, tmp_path: Path) -> Clone:
    """Alice has begun the ledger, and registered her key; the rules on the base branch ask for signatures."""
    alice = cloned(remote, tmp_path, "alice")
    alice.pw("init")
    alice.pw("config", "policy.signed", "true")
    git("add", ".gitpw.toml", cwd=alice.work)
    run(["git", "commit", "-qm", "rules"], alice.work)
    git("push", "-q", "origin", "main", cwd=alice.work)
    alice.register()
    return alice


@pytest.fixture
def bob(alice: Clone, remote: Remote, tmp_path: Path) -> Clone:
    """Bob has a clone and a key, and has registered neither."""
    del alice
    return cloned(remote, tmp_path, "bob")


def unsigned(bare: Path, subject: str = "forged", parent: str | None = None) -> str:
    """Push what only somebody without a key could: the ledger's tip again, unsigned, one further."""
    raw = run(["git", "cat-file", "commit", LEDGER], bare).out
    head, _, message = raw.partition("\n\n")
    tip = parent or git("rev-parse", LEDGER, cwd=bare)
    head = re.sub(r"\ngpgsig (.*\n )*.*", "", head)
    text = (
        re.sub(r"(?m)^parent .*", f"parent {tip}", head) + "\n\n" + subject + message[message.index("\n") :]
    )
    made = run(["git", "hash-object", "-t", "commit", "-w", "--stdin"], bare, input=text).out.strip()
    git("update-ref", LEDGER, made, cwd=bare)
    return made


@over
def test_from_a_key_to_a_landing(alice: Clone, bob: Clone) -> None:
    """Each operation is signed by its worker, the merger's by the merger; git's own verification agrees."""
    said = alice.pw("task", "add", "One", "--file", "one.txt")
    assert "operations are signed from now on, as the rules say; alice administrates the keys" in said.err
    refused = bob.pw("task", "add", "Two", check=6)
    assert refused.data["message"] == "operations are signed here, and bob has registered no key to sign with"
    assert refused.data["hint"] == "git pw worker register --signing-key FILE"
    bob.register()
    alice.pw("task", "add", "Two", "--file", "two.txt")
    alice.work_on("task-001", "one.txt")
    bob.work_on("task-002", "two.txt")
    landed = bob.pw("merge", "--once").data
    assert landed["ok"], landed
    for task in ("task-001", "task-002"):
        assert alice.pw("task", "show", task).data["task"]["mergedAt"] is not None
    shown = alice.shown()
    assert shown[0] == ("N", "", "begin the ledger (alice)")
    for verdict, signer, subject in shown[1:]:
        assert (verdict, subject.rpartition(" (")[2]) == ("G", f"{signer})")
    assert {signer for _, signer, subject in shown if "land " in subject} == {"bob"}
    events = alice.pw("log").data["events"]
    assert [one["signature"] for one in events] == ["unsigned"] + ["verified"] * (len(events) - 1)
    told = pw("log", "-v", cwd=alice.work, json=False).out.splitlines()
    assert "  unsigned  alice  begin the ledger" in told[0]
    assert "  verified  bob  " in told[-1]


@over
def test_forged_operation(alice: Clone, bob: Clone) -> None:
    """It is named; reads go on with the last good state, writes are refused; the doctor puts it right."""
    alice.pw("task", "add", "One")
    bob.register()
    bob.pw("task", "add", "Two")
    good = git("rev-parse", LEDGER, cwd=bob.bare)
    forged = unsigned(bob.bare)
    listed = bob.pw("task", "list")
    assert [task["title"] for task in listed.data["tasks"]] == ["One", "Two"]
    assert forged[:10] in listed.err
    refused = bob.pw("task", "add", "Three", check=78).data
    assert (refused["code"], refused["commit"], refused["workerId"]) == ("config", forged, "bob")
    assert "in the name of bob" in refused["message"]
    assert "doctor --fix" in refused["hint"]
    found = bob.pw("doctor", check=1).data["findings"]
    assert [one["level"] for one in found if forged[:10] in one["message"]] == ["error"]
    found = bob.pw("doctor", "--fix", check=None).data["findings"]
    assert [one["fixed"] for one in found if forged[:10] in one["message"]] == [True]
    assert git("rev-parse", LEDGER, cwd=bob.bare) == good
    alice.pw("task", "add", "Three")
    assert git("rev-parse", f"refs/pw/forged/{forged}", cwd=bob.store) == forged


@quickly
def test_whatever_would_build_on_a_forged_operation(alice: Clone) -> None:
    """Is refused; a look goes on, and says so."""
    alice.pw("task", "add", "One")
    forged = unsigned(alice.bare)
    for words in (("claim",), ("check",), ("merge", "--once"), ("gc",), ("worker", "register", "carol")):
        assert alice.pw(*words, check=78).data["commit"] == forged
    assert forged[:10] in str(alice.pw("status").data["warnings"])
    assert "showing what was verified" in alice.pw("log").err


@quickly
def test_unsigned_in_the_name_of_another(alice: Clone, bob: Clone, remote: Remote, tmp_path: Path) -> None:
    """What git-pw itself would write for alice, but with bob's key: by whoever has her name and not her key."""
    alice.pw("task", "add", "One")
    bob.register()
    other = Clone(clone(remote.url, tmp_path / "thief"), "alice", remote.bare, bob.key)
    refused = other.pw("task", "add", "Two", check=1, env={"GITPW_SIGNING_KEY": str(bob.key)})
    assert "can't sign: no file of it is known here" in refused.data["message"]
    refused = other.pw("worker", "register", "--signing-key", str(bob.key), check=1)
    assert "can't sign" in refused.data["message"], "a new key is signed by the old one"


@quickly
def test_guarded_server(alice: Clone, bob: Clone) -> None:
    """What isn't signed by its worker is refused where it arrives; what is goes through, branch and all."""
    pw("init", "--server", cwd=alice.bare, check=0)
    alice.pw("task", "add", "One", "--file", "one.txt")
    bob.register()
    alice.work_on("task-001", "one.txt")
    bob.pw("merge", "--once")
    good = git("rev-parse", LEDGER, cwd=bob.bare)
    script = (
        "import sys\nfrom gitpw.ledger import ledger\nledger.Ledger._sign = lambda *_: None\n"
        "from gitpw.__main__ import main\nsys.exit(main())"
    )
    words = [sys.executable, "-c", script, "task", "add", "Forged", "--json"]
    answer = run(words, bob.work, {"GITPW_WORKER": "bob"}, check=False)
    assert answer.exit == 1
    assert "in the name of bob, is not signed" in answer.out
    assert git("rev-parse", LEDGER, cwd=bob.bare) == good


@quickly
def test_turned_off_by_an_administrator(alice: Clone, bob: Clone) -> None:
    """The rules don't turn it on again; and a doctor says that the two differ."""
    alice.pw("task", "add", "One")
    bob.register()
    refused = bob.pw("signing", "off", check=6).data
    assert (refused["message"], refused["hint"]) == (
        "only an administrator turns signing on or off",
        "ask alice",
    )
    assert alice.pw("signing", "off").data["signed"] is False
    pw("task", "add", "by nobody", cwd=bob.work, env={"GITPW_WORKER": "carol"}, check=0)
    assert bob.pw("signing").data["signed"] is False
    found = bob.pw("doctor", check=None).data["findings"]
    assert any(one["code"] == "signing" and "takes unsigned ones" in one["message"] for one in found)


@quickly
def test_agents_do_not_turn_it_on(alice: Clone, bob: Clone) -> None:
    """Whoever does administrates the keys: that is for a person."""
    env = {"GITPW_WORKER_TYPE": "ai_agent"}
    bob.pw("worker", "register", "--signing-key", str(bob.key), env=env)
    refused = bob.pw("task", "add", "One", env=env, check=6).data
    assert "nobody has turned them on yet" in refused["message"]
    refused = bob.pw("claim", env=env, check=6).data
    assert "nobody has turned them on yet" in refused["message"]
    alice.pw("signing", "on")
    bob.pw("task", "add", "One", env=env)


@quickly
def test_lost_key(alice: Clone, bob: Clone, tmp_path: Path) -> None:
    """An administrator replaces it, on record; what it had signed stays signed."""
    alice.pw("task", "add", "One")
    bob.register()
    bob.pw("task", "add", "Two")
    bob.key.unlink()
    new = ssh_key(tmp_path, "new")
    assert bob.pw("worker", "register", "--signing-key", f"{new}.pub", check=1).data["code"] == "failed"
    words = ("worker", "register", "bob", "--signing-key", f"{new}.pub")
    assert "only its own signature" in alice.pw(*words, check=6).data["message"]
    alice.pw(*words, "--force", "--reason", "the disk broke")
    assert "by force: the disk broke" in pw("log", cwd=alice.work, json=False).out
    git("config", "pw.signingKey", str(new), cwd=bob.work)
    bob.pw("task", "add", "Three")
    late = Clone(clone(str(bob.bare), tmp_path / "late"), "carol", bob.bare, new)
    assert late.pw("signing").data["verifiedFrom"] is not None
    assert late.pw("signing", "--verify").data["verifiedFrom"] is None


@quickly
def test_key_in_an_agent(alice: Clone, bob: Clone, tmp_path: Path) -> None:
    """With a passphrase that only the agent knows; without the agent nothing is written, and it is said why."""
    alice.pw("task", "add", "One")
    secret = ssh_key(tmp_path, "secret", PASSPHRASE)
    public = Path(f"{secret}.pub").read_text()
    with ssh_agent(secret) as env:
        secret.unlink()
        bob.pw("worker", "register", "--signing-key", public, env=env)
        bob.pw("task", "add", "Two", env=env)
        found = bob.pw("doctor", env=env, check=None).data["findings"]
        assert [one["level"] for one in found if one["code"] == "signing"] == ["ok"]
    good = git("rev-parse", LEDGER, cwd=bob.bare)
    refused = bob.pw("task", "add", "Three", check=1).data
    assert "no file of it is known here, and there is no ssh agent" in refused["message"]
    assert "nothing was written" in refused["hint"]
    assert git("rev-parse", LEDGER, cwd=bob.bare) == good
    found = bob.pw("doctor", check=1).data["findings"]
    assert [one["level"] for one in found if one["code"] == "signing"] == ["error"]


@quickly
def test_gpg_key(alice: Clone, bob: Clone, sealed: Sealed) -> None:
    """As git signs with it; git verifies it, and so does a worker who has no such key."""
    alice.pw("task", "add", "One")
    with gpg_home("bob") as env:
        with sealed.gitconfig.open("a") as file:
            file.write(f"[user]\n signingKey = {fingerprint('bob', env)}\n")
        bob.pw("worker", "register", "--signing-key", "git", env=env)
        bob.pw("task", "add", "Two", env=env)
        verified = run(["git", "verify-commit", "refs/pw/tip"], bob.store, env)
        assert "Good signature" in verified.err
    assert len(alice.pw("task", "list").data["tasks"]) == 2
    assert alice.pw("worker", "show", "bob").data["worker"]["signingKey"]["format"] == "openpgp"


@quickly
def test_nothing_is_run_where_nothing_is_signed(remote: Remote, tmp_path: Path) -> None:
    """Neither ssh-keygen nor gpg, and what would call them isn't even imported."""
    alice, bob = cloned(remote, tmp_path, "alice"), cloned(remote, tmp_path, "bob")
    tools = tmp_path / "tools"
    tools.mkdir()
    for name in ("ssh-keygen", "gpg", "gpgv"):
        (tools / name).write_text(f"#!/bin/sh\necho {name} >>{tmp_path}/called\n")
        (tools / name).chmod(0o755)
    env = {"PATH": f"{tools}{os.pathsep}{os.environ['PATH']}"}
    alice.pw("init", env=env)
    alice.pw("task", "add", "One", "--file", "one.txt", env=env)
    bob.pw("claim", "--no-worktree", env=env)
    alice.pw("status", env=env)
    assert not (tmp_path / "called").exists()
    script = (
        "import sys\nfrom gitpw.cli import main\nmain(sys.argv[1:])\n"
        "print('signing' if 'gitpw.adapters.signing' in sys.modules else 'none', file=sys.stderr)"
    )
    for words in (["task", "add", "Two"], ["status"]):
        answer = run([sys.executable, "-c", script, *words], alice.work, {"GITPW_WORKER": "alice"})
        assert answer.err.splitlines()[-1] == "none"


@quickly
def test_one_verification_for_each_new_operation(alice: Clone, bob: Clone, tmp_path: Path) -> None:
    """One process each, once; a look at nothing new runs none."""
    alice.pw("task", "add", "One")
    bob.register()
    tools = tmp_path / "tools"
    tools.mkdir()
    real = run(["sh", "-c", "command -v ssh-keygen"]).out.strip()
    (tools / "ssh-keygen").write_text(f'#!/bin/sh\necho "$2" >>{tmp_path}/called\nexec {real} "$@"\n')
    (tools / "ssh-keygen").chmod(0o755)
    env = {"PATH": f"{tools}{os.pathsep}{os.environ['PATH']}"}
    for title in ("Two", "Three", "Four"):
        alice.pw("task", "add", title)
    bob.pw("status", env=env)
    bob.pw("status", env=env)
    assert (tmp_path / "called").read_text().split() == ["verify"] * 3
    bob.pw("task", "add", "Five", env=env)
    assert (tmp_path / "called").read_text().split() == ["verify"] * 3 + ["sign"]
