"""Signatures by the programs that git itself is configured to use: ssh-keygen or gpg, and the agents behind them.

Called as git calls them (`gpg.ssh.program`, `gpg.program`, the namespace `git`), so that whatever signs a person's
commits signs these, and `git verify-commit` agrees. Where the private part of a key is, only this machine knows: it was
noted when the key was registered, or git's configuration says it, or the ssh agent has it.
"""

from __future__ import annotations

import base64
import json
import os
import re
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

from gitpw.adapters.process import Finished, complaint, run
from gitpw.domain.signing import PGP_BEGINS, KeyFormat, SigningKey, ssh_key
from gitpw.errors import FailedError, InvalidError
from gitpw.ledger.signing import Signed, UnsignableError

NAMESPACE = "git"
GIT = "git"
"""What stands for the key that git signs with."""

AT_ONCE = 4
"""Programs that verify at the same time: each takes some milliseconds, most of them for its start."""

GOOD = {"GOODSIG", "EXPKEYSIG"}
"""What gpg says of a signature that was made by the key; that the key expired later doesn't undo it."""

Where = tuple[SigningKey, str | None]


class GitSigning:
    """Makes and verifies signatures, and finds the keys for it."""

    def __init__(
        self, config: Callable[[str], str | None], environment: Mapping[str, str], folder: Path
    ) -> None:
        """`folder` is ours, `<common git dir>/pw`."""
        self._config = config
        self._environment = environment
        self._notes = folder / "signing.json"

    # keys

    def find(self, text: str) -> Where:
        """The public key that a person means, and the file that its private part is in or beside, if any.

        A file, a public key, an ssh key's fingerprint in the agent, or what gpg knows a secret key by; `git` is what
        git signs with. Raises `InvalidError` where it is none of these.
        """
        if text == GIT:
            return self._as_git()
        text = text.removeprefix("key::")
        literal = ssh_key(text)
        if literal is not None:
            return literal, None
        path = Path(text).expanduser()
        with suppress(OSError, ValueError):
            if path.is_file():
                return self._of_file(path)
        if text.startswith("SHA256:"):
            return self._in_agent(text), None
        return self._of_gpg(text), None

    def _as_git(self) -> Where:
        """The key that git signs commits with."""
        said = self._config("user.signingkey")
        form = (self._config("gpg.format") or KeyFormat.OPENPGP).lower()
        if form not in set(KeyFormat):
            raise InvalidError(f"git signs with {form}, which git-pw doesn't know", hint="use ssh or openpgp")
        if form == KeyFormat.OPENPGP:
            who = said or self._config("user.email")
            if not who:
                raise _no_default()
            return self._of_gpg(who), None
        if said == GIT or not (said or self._config("gpg.ssh.defaultkeycommand")):
            raise _no_default()
        return self.find(said or self._by_command(str(self._config("gpg.ssh.defaultkeycommand"))))

    def _by_command(self, command: str) -> str:
        """The first key that the command prints which git would ask."""
        done = run(["sh", "-c", command])
        lines = done.out.decode(errors="replace").splitlines()
        found = next(
            (line.removeprefix("key::") for line in lines if ssh_key(line.removeprefix("key::"))), None
        )
        if found is None:
            raise FailedError(
                f"gpg.ssh.defaultKeyCommand names no key: {complaint(done.err)}", hint="set user.signingKey"
            )
        return found

    def _of_file(self, path: Path) -> Where:
        """The key in a file: a public one of either kind, or a private one of ssh."""
        place = str(path.resolve())
        text = path.read_bytes()[:200_000].decode(errors="replace")
        if PGP_BEGINS in text:
            return self._of_gpg_file(place), None
        key = _public(place)
        if key is None and "PRIVATE KEY" in text:
            raise InvalidError(
                f"the public part of {place} can't be had: it has a passphrase and there is no {place}.pub",
                hint="name its .pub file, or make one: ssh-keygen -y -f KEY > KEY.pub",
            )
        if key is None:
            raise InvalidError(
                f"{place} holds no key that can be used", hint="an ssh key, or a public gpg key"
            )
        return key, place

    def _in_agent(self, fingerprint: str) -> SigningKey:
        for line in self._agent_keys():
            key = ssh_key(line)
            if key is not None and key.fingerprint == fingerprint:
                return key
        raise InvalidError(f"the ssh agent has no key {fingerprint}", hint="see 'ssh-add -l'")

    def _agent_keys(self) -> list[str]:
        return run(["ssh-add", "-L"]).out.decode(errors="replace").splitlines()

    def _of_gpg(self, who: str) -> SigningKey:
        """The public part of the one secret key that gpg finds by a fingerprint, an id or an address."""
        words = ["--batch", "--with-colons", "--list-secret-keys", "--", who]
        found = _fingerprints(self._gpg(*words).out, "sec")
        if not found:
            raise InvalidError(
                f"{who!r} is no file, no ssh key, and nothing that gpg has a secret key for",
                hint="for instance ~/.ssh/id_ed25519.pub; 'git' stands for the key that git signs with",
            )
        if len(found) > 1:
            raise InvalidError(f"gpg has several secret keys for {who!r}", hint=f"name one: {found[0]}")
        armored = self._gpg("--batch", "--armor", "--export-options", "export-minimal", "--export", found[0])
        return _openpgp(armored.out, found[0])

    def _of_gpg_file(self, path: str) -> SigningKey:
        done = self._gpg("--batch", "--with-colons", "--show-keys", "--", path)
        found = _fingerprints(done.out, "pub")
        if len(found) != 1:
            raise InvalidError(f"{path} doesn't hold exactly one public key", hint="gpg --armor --export KEY")
        return _openpgp(Path(path).read_bytes(), found[0])

    def remember(self, key: SigningKey, place: str) -> None:
        """Note where the private part of a key is, for this clone."""
        known = self._places()
        if known.get(key.fingerprint) != place:
            self._notes.parent.mkdir(parents=True, exist_ok=True)
            new = self._notes.with_name(f"signing-{os.getpid()}.tmp")
            new.write_text(json.dumps({**known, key.fingerprint: place}))
            new.replace(self._notes)

    def _places(self) -> dict[str, str]:
        with suppress(OSError, ValueError):
            found = json.loads(self._notes.read_bytes())
            if isinstance(found, dict):
                return {str(key): str(place) for key, place in found.items()}
        return {}

    # signing

    def sign(self, key: SigningKey, payload: bytes) -> str:
        """Sign with the private part of a key, wherever that is; raises `UnsignableError` where it can't be used."""
        return self._sign_ssh(key, payload) if key.format is KeyFormat.SSH else self._sign_gpg(key, payload)

    def _sign_ssh(self, key: SigningKey, payload: bytes) -> str:
        """As git does it: a file to be signed, beside which the signature turns up."""
        with tempfile.TemporaryDirectory(prefix="git-pw-") as folder:
            content = Path(folder, "commit")
            content.write_bytes(payload)
            place = next((place for place in self._candidates(key) if _public(place) == key), None)
            from_agent = place is None
            if place is None:
                place = str(Path(folder, "key.pub"))
                Path(place).write_text(f"{key.key}\n")
            words = ["-Y", "sign", "-n", NAMESPACE, "-f", place, *(["-U"] if from_agent else [])]
            done = run([self._ssh_keygen, *words, str(content)])
            with suppress(OSError):
                made = content.with_name("commit.sig").read_text(errors="replace")
                if done.status == 0 and _signer(made) == key.blob:
                    return made
        raise _unsigned(key, None if from_agent else place, done.err)

    def _candidates(self, key: SigningKey) -> Iterator[str]:
        """Files in which the private part may be, or beside which it is."""
        told = [
            self._environment.get("GITPW_SIGNING_KEY"),
            self._config("pw.signingkey"),
            self._places().get(key.fingerprint),
            self._config("user.signingkey"),
        ]
        for one in filter(None, told):
            with suppress(OSError, ValueError, RuntimeError):
                path = Path(one).expanduser()
                if path.is_file():
                    yield str(path.resolve())

    def _sign_gpg(self, key: SigningKey, payload: bytes) -> str:
        done = self._gpg("--status-fd=2", "-bsau", key.fingerprint, input=payload)
        if done.status == 0 and b"\n[GNUPG:] SIG_CREATED " in b"\n" + done.err:
            return done.out.decode(errors="replace")
        lines = [line for line in done.err.split(b"\n") if line and not line.startswith(b"[GNUPG:]")]
        raise _unsigned(key, None, b"\n".join(lines))

    @property
    def _ssh_keygen(self) -> str:
        return os.path.expanduser(self._config("gpg.ssh.program") or "ssh-keygen")  # noqa: PTH111 - a name

    def _gpg(self, *words: str, input: bytes | None = None) -> Finished:  # noqa: A002
        program = self._config("gpg.openpgp.program") or self._config("gpg.program") or "gpg"
        return run([os.path.expanduser(program), *words], input=input)  # noqa: PTH111

    # verifying

    def complaints(self, signed: Sequence[Signed]) -> list[str | None]:
        """What is wrong with each signature, None where nothing is; raises `FailedError` where that can't be told."""
        with tempfile.TemporaryDirectory(prefix="git-pw-") as folder:
            rings = {key: self._ring(Path(folder), number, key) for number, key in enumerate(_keys(signed))}

            def judge(numbered: tuple[int, Signed]) -> str | None:
                number, one = numbered
                return self._complaint(Path(folder, f"{number}.sig"), rings[one.key], one)

            if len(signed) == 1:
                return [judge((0, signed[0]))]
            with ThreadPoolExecutor(AT_ONCE) as pool:
                return list(pool.map(judge, enumerate(signed)))

    def _ring(self, folder: Path, number: int, key: SigningKey) -> Path:
        """A key where the program looks for it, alone: signatures of others are none."""
        ring = folder / f"{number}.ring"
        if key.format is KeyFormat.SSH:
            ring.write_text(f'worker namespaces="{NAMESPACE}" {key.key}\n')
        else:
            (folder / "common.conf").touch()  # without it, newer gpgs begin to keep keys in a daemon
            ring.write_bytes(key.blob)
        return ring

    def _complaint(self, file: Path, ring: Path, one: Signed) -> str | None:
        if one.signature is None:
            return "is not signed"
        by_ssh = "-----BEGIN SSH SIGNATURE-----" in one.signature
        of = KeyFormat.SSH if by_ssh else KeyFormat.OPENPGP
        if of is not one.key.format:
            return f"is not signed by {one.key}"
        file.write_text(one.signature)
        good = self._good_ssh if of is KeyFormat.SSH else self._good_gpg
        if good(file, ring, one):
            return None
        return f"is not signed by its key, {one.key}, or was changed afterwards"

    def _good_ssh(self, file: Path, ring: Path, one: Signed) -> bool:
        words = ["-Y", "verify", "-n", NAMESPACE, "-I", "worker", "-f", str(ring), "-s", str(file)]
        done = run([self._ssh_keygen, *words], input=one.payload)
        if b"usage:" in done.err or b"unknown option" in done.err:
            raise FailedError(f"{self._ssh_keygen} can't verify signatures", hint="OpenSSH 8.2 or newer can")
        return done.status == 0 and _signer(one.signature or "") == one.key.blob

    def _good_gpg(self, file: Path, ring: Path, one: Signed) -> bool:
        home = ["--homedir", str(ring.parent), "--no-default-keyring", "--keyring", str(ring)]
        words = ["--batch", "--no-tty", "--no-autostart", "--status-fd=1", "--trust-model=always"]
        done = self._gpg(*home, *words, "--verify", str(file), "-", input=one.payload)
        said = [
            line.split()[1:] for line in done.out.decode(errors="replace").splitlines() if "[GNUPG:]" in line
        ]
        valid = [words[-1] for words in said if words and words[0] == "VALIDSIG"]
        verdicts = {words[0] for words in said if words and words[0].endswith("SIG")} - {"NEWSIG", "VALIDSIG"}
        if not said:
            raise FailedError(
                f"gpg can't verify signatures: {complaint(done.err)}", hint="see 'gpg --version'"
            )
        return valid == [one.key.fingerprint] and len(verdicts) == 1 and verdicts <= GOOD


def _keys(signed: Iterable[Signed]) -> list[SigningKey]:
    found: list[SigningKey] = []
    for one in signed:
        if one.key not in found:
            found.append(one.key)
    return found


def _public(place: str) -> SigningKey | None:
    """The public key of an ssh key's file, whichever half that is; None where it can't be had."""
    with suppress(OSError, ValueError):
        text = Path(place).read_bytes()[:200_000].decode(errors="replace")
        if "PRIVATE KEY-----" not in text:
            return ssh_key(text.strip().partition("\n")[0])
        beside = Path(f"{place}.pub")
        if beside.is_file():
            return ssh_key(beside.read_text(errors="replace"))
        return ssh_key(run(["ssh-keygen", "-y", "-P", "", "-f", place]).out.decode(errors="replace"))
    return None


def _signer(signature: str) -> bytes | None:
    """The public key that an ssh signature says it was made by; None where it is none."""
    body = re.sub(r"-----[A-Z ]+-----|\s", "", signature)
    with suppress(ValueError):
        raw = base64.b64decode(body, validate=True)
        size = int.from_bytes(raw[10:14], "big")
        if raw.startswith(b"SSHSIG") and len(raw) >= 14 + size:
            return raw[14 : 14 + size]
    return None


def _fingerprints(colons: bytes, kind: str) -> list[str]:
    """The fingerprints of the primary keys in gpg's listing."""
    found: list[str] = []
    primary = False
    for line in colons.decode(errors="replace").splitlines():
        fields = line.split(":")
        if fields[0] == "fpr" and primary and len(fields) > 9:  # noqa: PLR2004 - gpg's tenth column
            found.append(fields[9])
        primary = fields[0] == kind or (primary and fields[0] != "fpr")
    return found


def _openpgp(armored: bytes, fingerprint: str) -> SigningKey:
    from pydantic import ValidationError

    try:
        return SigningKey(
            format=KeyFormat.OPENPGP, key=armored.decode(errors="replace").strip(), fingerprint=fingerprint
        )
    except ValidationError as error:
        raise InvalidError(
            f"the public key {fingerprint} can't be registered", hint="it may be too large"
        ) from error


def _no_default() -> InvalidError:
    return InvalidError(
        "git isn't told which key to sign with",
        hint="name one: --signing-key ~/.ssh/id_ed25519.pub; or set user.signingKey and gpg.format",
    )


def _unsigned(key: SigningKey, place: str | None, err: bytes) -> UnsignableError:
    """Why a key can't sign, and what to do about it."""
    said = err.decode(errors="replace")
    if key.format is KeyFormat.OPENPGP:
        hint = f"try it: echo | gpg -bsau {key.fingerprint}"
    elif place is None:
        hint = "ssh-add its file, or say where it is: git config pw.signingKey FILE"
    else:
        hint = f"let the agent have it: ssh-add {place.removesuffix('.pub')}"
    if "Couldn't get agent socket" in said:
        why = "no file of it is known here, and there is no ssh agent"
    elif "Couldn't find key in agent" in said:
        why = "no file of it is known here, and the ssh agent doesn't have it"
    elif "incorrect passphrase" in said:
        why = f"{place} has a passphrase, and the ssh agent doesn't have it"
    else:
        why = complaint(err) if err.strip() else "the signature isn't by this key"
    return UnsignableError(f"the signing key {key} can't sign: {why}", hint=f"nothing was written; {hint}")
