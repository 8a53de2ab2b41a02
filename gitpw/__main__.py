"""`python -m gitpw` and the program `git-pw`."""

from __future__ import annotations

import sys


def main() -> int:
    """Run the command line; the exit status."""
    from gitpw.cli import main as run

    return run()


if __name__ == "__main__":
    sys.exit(main())
