"""The command line of signing keys."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from gitpw.domain.ids import WorkerId
from gitpw.domain.worker import Worker
from gitpw.services.signing import Signed
from gitpw.services.workers import Shown
from tests.domain.test_custody import key

if TYPE_CHECKING:
    from tests.cli.conftest import Cli, Serve

BOB = Worker(id=WorkerId("bob"), signing_key=key("bob"))
FOUND = Signed(True, (WorkerId("ada"),), {WorkerId("ada"): key("ada")}, [WorkerId("bob")], 7)


def test_who_signs_with_what(cli: Cli, serve: Serve) -> None:
    """For people, for programs, and for git."""
    serve("signing.signing", FOUND)
    assert cli("signing").out.splitlines() == [
        "operations are signed; this clone has verified them from 7 on",
        f"  ada  {key('ada')}  (administrator)",
        "  bob  has no key",
        "if ada loses its key, nobody can replace it: name another --admin",
    ]
    data = cli("signing", "--json").data
    assert (data["signed"], data["administrators"], data["withoutKey"], data["verifiedFrom"]) == (
        True, ["ada"], ["bob"], 7,
    )  # fmt: skip
    assert data["keys"] == [{"workerId": "ada", **key("ada").to_data()}]
    assert cli("signing", "--allowed-signers").out == f'ada namespaces="git" {key("ada").key}\n'


def test_turning_it_on_and_off(cli: Cli, serve: Serve) -> None:
    """With those who may decide about keys."""
    run = serve("signing.turn", FOUND)
    assert cli("signing", "on", "--admin", "ada", "--admin", "bob").exit == 0
    assert run.call_args.kwargs == {"on": True, "administrators": ("ada", "bob")}
    assert cli("signing", "off", "-q").out == "off\n"
    assert run.call_args.kwargs == {"on": False, "administrators": ()}


def test_looking_at_all_of_it(cli: Cli, serve: Serve) -> None:
    """Also what came before this clone joined."""
    serve("signing.verify_all", FOUND._replace(signed=False, verified_from=None))
    assert cli("signing", "--verify").out.splitlines()[0] == "operations needn't be signed"


@pytest.mark.parametrize("words", [("maybe",), ("--admin", "ada"), ("on", "off")])
def test_what_is_none(cli: Cli, words: tuple[str, ...]) -> None:
    """Usage, not a guess."""
    assert cli("signing", *words).exit == 2


def test_registering_a_key(cli: Cli, serve: Serve) -> None:
    """What was typed is found by the service; what came of it is shown with the worker."""
    run = serve("workers.register", BOB)
    answer = cli("worker", "register", "bob", "--signing-key", "SHA256:x")
    assert answer.out == f"registered bob (human)\nits operations are signed by {key('bob')}\n"
    assert run.call_args.args[2] == "SHA256:x"
    data = cli("worker", "register", "bob", "--signing-key", "SHA256:x", "--json").data
    assert data["worker"]["signingKey"]["fingerprint"] == key("bob").fingerprint
    cli("worker", "register", "bob", "--signing-key", "x", "--force", "--reason", "lost")
    assert (run.call_args.args[1].force, run.call_args.args[1].reason) == (True, "lost")
    assert cli("worker", "register", "bob", "--force").exit == 2
    assert cli("worker", "register", "bob", "--signing-key", "x", "--force").exit == 2


def test_showing_a_key(cli: Cli, serve: Serve) -> None:
    """A worker without one looks as it always did."""
    serve("workers.show_worker", Shown(BOB, []))
    assert f"  signs with {key('bob')}\n" in cli("worker", "show", "bob").out
    assert "signingKey" in cli("worker", "show", "bob", "--json").data["worker"]
    serve("workers.show_worker", Shown(BOB.but(signing_key=None), []))
    assert "signingKey" not in cli("worker", "show", "bob", "--json").data["worker"]
