"""Our pre-receive hook in a bare repository that people push to."""

from __future__ import annotations

from pathlib import Path

from gitpw.adapters.disk import locked
from gitpw.adapters.git import GitRepo
from gitpw.adapters.hooks import SERVER, own_program
from gitpw.adapters.shim import put
from gitpw.errors import FailedError, InvalidError


class ServerHooks:
    """The hooks of one bare repository."""

    def __init__(self, repo: GitRepo) -> None:
        self._repo = repo

    def install(self) -> list[str]:
        """Put our shim in place, chained to what is there; the hooks that are new. Run again, it repairs.

        Raises `InvalidError` where it doesn't belong, `FailedError` where it can't be written.
        """
        if self._repo.root is not None or (self._repo.config("core.bare") or "").lower() != "true":
            raise InvalidError(
                "the hook for servers belongs into the bare repository that people push to",
                hint="go there, on the server: git -C /srv/git/shop.git pw init --server",
            )
        folder = Path(self._repo.hooks_folder())
        if not folder.resolve().is_relative_to(Path(self._repo.common_dir).resolve()):
            raise InvalidError(
                f"core.hooksPath is {folder}, which may serve other repositories too",
                hint=f"let {folder / SERVER[0]} run 'git-pw hook {SERVER[0]}' with what it reads on standard input",
            )
        try:
            folder.mkdir(exist_ok=True)
            with locked(str(folder / "git-pw.lock")):
                return [name for name in SERVER if put(folder / name, own_program())]
        except OSError as error:
            raise FailedError(f"the hooks in {folder} can't be written: {error.strerror}") from error
