"""What was said of progress and isn't in the ledger yet: a small file for each claim, in the git dir of its checkout."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from pydantic import ValidationError

from gitpw.adapters.disk import locked, read, replace
from gitpw.domain.ids import ClaimId
from gitpw.domain.progress import Said

FOLDER = "pw/progress"


class HeldBack:
    """The files of all checkouts of a repository; each has the last word on one claim."""

    def __init__(self, git_dir: str, common_dir: str) -> None:
        """`git_dir` is this checkout's own."""
        self._here, self._common = Path(git_dir), Path(common_dir)

    def all(self) -> list[Said]:
        """The last word on each claim, in the order of time; a file that can't be read says nothing."""
        found: dict[ClaimId, Said] = {}
        for file in self._files():
            said = _parsed(file)
            known = None if said is None else found.get(said.claim)
            if said is not None and (
                known is None or known.progress.last_updated <= said.progress.last_updated
            ):
                found[said.claim] = said
        return sorted(found.values(), key=lambda said: said.progress.last_updated)

    def hold(self, said: Said) -> None:
        """Keep the last word on a claim, with the checkout that it belongs to."""
        home = next((one for one in self._checkouts() if _remembers(one, said.claim)), self._here)
        file = home / FOLDER / f"{said.claim}.json"
        with locked(f"{file}.lock"):
            replace(str(file), said.to_json() + b"\n")

    def drop(self, told: Iterable[Said]) -> None:
        """Forget what others know by now, unless something else was said meanwhile."""
        words = {said.claim: said for said in told}
        for file in self._files() if words else ():
            said = words.get(ClaimId(file.stem))
            if said is None:
                continue
            with locked(f"{file}.lock"):
                if _parsed(file) in {said, None}:
                    file.unlink(missing_ok=True)
            with suppress(OSError):
                file.parent.rmdir()

    def _checkouts(self) -> list[Path]:
        return [self._here, self._common, *self._common.glob("worktrees/*")]

    def _files(self) -> list[Path]:
        return [file for one in dict.fromkeys(self._checkouts()) for file in (one / FOLDER).glob("*.json")]


def _remembers(checkout: Path, claim: ClaimId) -> bool:
    lines = (read(str(checkout / "pw/own")) or b"").splitlines()
    return any(line.startswith(f"{claim} ".encode()) for line in lines)


def _parsed(file: Path) -> Said | None:
    try:
        return Said.from_json(read(str(file)) or b"")
    except ValidationError:
        return None
