"""Where a push gets its certificates and credentials from: where git's own would."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from tests.conftest import Remote
from tests.support.cli import pw
from tests.support.git import clone, git, make_upstream, run
from tests.support.servers import HttpServer, require

pytestmark = pytest.mark.server


@pytest.mark.parametrize("remote", ["https"], indirect=True)
def test_https(remote: Remote, tmp_path: Path) -> None:
    """The certificate is checked by git, with the authority that git was told of."""
    place = clone(remote.url, tmp_path / "shop")
    pw("init", cwd=place, check=0)
    assert pw("lock", "README.md", cwd=place, check=0).data["lock"]["lockedFiles"] == ["README.md"]


@pytest.fixture
def guarded(tmp_path: Path) -> tuple[HttpServer, str]:
    """A remote that asks for a password, and the header that carries it."""
    require(HttpServer)
    make_upstream(tmp_path / "served/shop.git")
    header = "Authorization: Basic " + base64.b64encode(b"ada:secret").decode()
    return HttpServer(tmp_path / "served", user="ada", password="secret"), header


def test_credential_helper(guarded: tuple[HttpServer, str], tmp_path: Path) -> None:
    """A helper that only the repository's own config names is asked."""
    server, header = guarded
    with server:
        url = server.url("shop.git")
        run(["git", "-c", f"http.extraHeader={header}", "clone", "-q", url, tmp_path / "shop"])
        helper = "!f() { echo username=ada; echo password=secret; }; f"
        git("config", "credential.helper", helper, cwd=tmp_path / "shop")
        pw("init", cwd=tmp_path / "shop", check=0)
        pw("lock", "README.md", cwd=tmp_path / "shop", check=0)


def test_extra_header(guarded: tuple[HttpServer, str], tmp_path: Path) -> None:
    """A header in the repository's own config logs in, as CI systems leave it there."""
    server, header = guarded
    with server:
        url = server.url("shop.git")
        run(["git", "-c", f"http.extraHeader={header}", "clone", "-q", url, tmp_path / "shop"])
        git("config", f"http.{url}.extraheader", header, cwd=tmp_path / "shop")
        pw("init", cwd=tmp_path / "shop", check=0)
        pw("lock", "README.md", cwd=tmp_path / "shop", check=0)


def test_no_credentials_change_nothing(guarded: tuple[HttpServer, str], tmp_path: Path) -> None:
    """Without them the refusal is the server's, and holds no password."""
    server, header = guarded
    with server:
        url = server.url("shop.git")
        run(["git", "-c", f"http.extraHeader={header}", "clone", "-q", url, tmp_path / "shop"])
        refused = pw("init", cwd=tmp_path / "shop", check=1)
        assert refused.data["code"] == "failed"
        assert "secret" not in refused.out + refused.err
