"""The page: what it shows, that nobody's words become markup, and that it stays of a size that can be looked at."""

from __future__ import annotations

import base64
import hashlib
import re
import unicodedata
from datetime import timedelta
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gitpw.cli.markup import Markup, element, told
from gitpw.cli.output import INVISIBLE, JOINERS
from gitpw.cli.page import page
from gitpw.domain.history import History, Life, Span, Tally
from gitpw.domain.ids import ClaimId, TaskId, WorkerId
from gitpw.domain.lock import Held, Mode
from gitpw.domain.merge import Merge, MergeState
from gitpw.domain.progress import Progress
from gitpw.domain.task import Task, TaskStatus
from gitpw.domain.worker import Worker
from gitpw.services.overview import MOST, Overview, sorted_out
from tests.cli.conftest import NOW, Cli, Opened, Serve, a_claim, a_task, a_waiter
from tests.cli.test_status import a_status
from tests.support.day import Day
from tests.support.day import told as a_day

if TYPE_CHECKING:
    from pathlib import Path

VOID = {"meta"}
ATTACKS = (
    "<script>alert(1)</script>",
    "\"><img src=x onerror='alert(1)'>",
    "' onmouseover='alert(1)",
    "</title></style></svg><!-- <b>",
    "&lt;b&gt; &amp; &#60;",
    "]]><![CDATA[",
    "\x1b]0;title\x07\x1b[2J",
    "\u202e\u2066gpj.exe\u2069",
    "javascript:alert(1)",
    "a" * 500,
)


class Outline(HTMLParser):
    """The elements of a page and their attributes, in order; texts; what was left open."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, tuple[str, ...]]] = []
        self.values: dict[str, list[str]] = {}
        self.open: list[str] = []
        self.texts: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note it."""
        self.elements.append((tag, tuple(name for name, _ in attrs)))
        for name, value in attrs:
            self.values.setdefault(name, []).append(value or "")
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        """Nothing ends that wasn't begun last."""
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        """Note it."""
        self.texts.append(data)

    def handle_comment(self, data: str) -> None:
        """There are none."""
        raise AssertionError(f"a comment: {data}")

    @property
    def shape(self) -> list[tuple[str, tuple[str, ...]]]:
        """The elements; bars and samples are as long as they are."""
        assert not self.open
        return self.elements


def an_overview(word: str = "word", **fields: Any) -> Overview:
    """Everything that a page can show, each text of it the same."""
    task = a_task(1, title=word or "x", status=TaskStatus.FAILED, failure=word, assigned_to=WorkerId("bob"))
    end = int(NOW.timestamp())
    history = History()
    history.total = history.workers[word] = Tally((1,) * len(Tally.NAMES))
    history.days[end // 86_400] = history.total
    worker = Worker.model_construct(**{**Worker(id=WorkerId("bob")).__dict__, "id": WorkerId(word)})
    claim = a_claim(1, worker=WorkerId(word), locks=(Held(resource=word, mode=Mode.EXCLUSIVE),))
    merge = Merge(
        task_id=TaskId("task-001"),
        worker_id=WorkerId(word),
        branch_name=word,
        position=1,
        state=MergeState.CONFLICT,
        detail=word,
        queued_at=NOW,
        updated_at=NOW,
        claim=ClaimId("3" * 16),
    )
    said = Progress(
        task_id=TaskId("task-001"),
        worker_id=WorkerId("bob"),
        current_step=word[:500] or "x",
        percent_complete=43,
        last_updated=NOW,
    )
    status = a_status(
        workers=[worker],
        claims=[claim],
        locks=[
            {
                "workerId": word,
                "taskId": word or None,
                "lockedFiles": [word],
                "mode": word or "x",
                "expiresAt": None,
            }
        ],
        merges=[merge],
        progress=[said],
        warnings=[word],
        titles={TaskId("task-001"): word or "x"},
        waits=[(a_waiter(worker=WorkerId(word), locks=(Held(resource=word, mode=Mode.EXCLUSIVE),)), 1)],
    )
    known: dict[str, Any] = {
        "now": NOW,
        "status": status,
        "counts": {(3, TaskStatus.FAILED.value): 1},
        "listed": {TaskStatus.FAILED.value: [task]},
        "history": history,
        "lives": [Life(word, ending="merged", merged=end, spans=[Span("worked", word, end - 600, end)])],
        "titles": {word: word},
        "begin": end - 86_400,
        "end": end,
    }
    return Overview(**{**known, **fields})


def steering(text: str) -> set[str]:
    """What of a text could steer, reorder or hide."""
    return {one for one in text if unicodedata.category(one) in INVISIBLE and one not in JOINERS | {"\n"}}


SHAPE = Outline(page(an_overview(), "word")).shape


@pytest.mark.parametrize("word", ATTACKS)
def test_attacks_are_text(word: str) -> None:
    """Whoever writes into the ledger adds no element and no attribute, and nothing that steers or reorders."""
    text = page(an_overview(word), word)
    assert Outline(text).shape == SHAPE
    assert not steering(text)
    text.encode()


@given(
    st.text(st.characters(exclude_categories=("Cs",)), min_size=1, max_size=80)
    | st.text("<>&\"'/=!-x \n", min_size=1)
)
def test_no_text_becomes_markup(word: str) -> None:
    """The same for whatever can be written."""
    text = page(an_overview(word), word)
    assert Outline(text).shape == SHAPE
    assert not steering(text)
    text.encode()


@given(st.text(), st.text())
def test_text_comes_back_from_an_element(content: str, value: str) -> None:
    """Printable text is read as it was written."""
    words = [one for one in (content, value) if one.isprintable() and one == one.strip()]
    for word in words:
        found = Outline(element("p", word, title=word))
        assert "".join(found.texts) == word
        assert found.values["title"] == [word]


def test_markup_is_what_an_element_makes() -> None:
    """Only that is put into another as it is."""
    assert element("p", told("<b>"), "<i>") == "<p><bdi>&lt;b&gt;</bdi>&lt;i&gt;</p>"
    assert element("p", Markup("<i></i>"), hidden=True, class_=None, aria_label='"') == (
        '<p hidden aria-label="&quot;"><i></i></p>'
    )


def test_a_folder_with_a_name_of_bytes() -> None:
    """What isn't UTF-8 is spelled out, as everywhere."""
    text = page(an_overview(), "shop\udcff\n")
    text.encode()
    assert "<bdi>shop\\xff\\n</bdi>" in text


def test_nothing_is_loaded_or_run(tmp_path: Path) -> None:
    """No address, script, handler or style of an element; the policy names the hash of the one style."""
    text = page(a_day(tmp_path).seen(), "shop")
    found = Outline(text)
    tags = {tag for tag, _ in found.elements}
    assert tags.isdisjoint({"script", "img", "link", "iframe", "object", "form", "base"})
    assert set(found.values).isdisjoint({"src", "style", "srcset", "xlink:href"})
    assert not [name for name in found.values if name.startswith("on")]
    assert all(address.startswith("#") for address in found.values["href"])
    assert "://" not in text
    assert "url(" not in text
    (style,) = re.findall(r"<style>(.*?)</style>", text, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    (policy,) = [one for one in found.values["content"] if "default-src" in one]
    assert policy.split("; ")[:2] == ["default-src 'none'", f"style-src 'sha256-{digest}'"]


def test_whoever_sees_nothing_can_read_it(tmp_path: Path) -> None:
    """Captions and scopes of tables, names of regions and bars, ids that lead somewhere, one heading of all."""
    text = page(a_day(tmp_path).seen(), "shop")
    found = Outline(text)
    tags = [tag for tag, _ in found.elements]
    assert tags.count("table") == tags.count("caption") > 5
    assert all("scope" in names for tag, names in found.elements if tag == "th")
    assert all("aria-label" in names for tag, names in found.elements if tag == "progress")
    assert tags.count("h1") == 1
    ids = found.values["id"]
    assert len(ids) == len(set(ids))
    named = " ".join(found.values["aria-labelledby"]).split()
    assert {*named, *(one[1:] for one in found.values["href"])} <= set(ids)


def test_a_day_is_told(tmp_path: Path) -> None:
    """Who does what, what waits, what went wrong, and how it came to that."""
    text = "".join(Outline(page(a_day(tmp_path).seen(), "shop")).texts)
    for part in (
        "State of 2026-03-02 10:58 UTC",
        "task-005 Invoices as PDF",
        "writing tests for Norway",
        "71%",
        "12m (pace)",
        "task-006 needs a person: the analytics service has no test account",
        "tests run: 41 s",
        "after task-008, task-009",
        "03-02 08:07 to 08:48 (41m): worked on by ada",
        "merged, 1 conflict",
        "Conflict rate: 33%",
        "From handed in to merged: 24m on average",
    ):
        assert part in text


def test_bars_begin_and_end_at_their_minutes(tmp_path: Path) -> None:
    """Of the drawing: a minute is as long everywhere, and one that has begun is drawn."""
    day = Day(tmp_path)
    end = int(day.now.timestamp()) // 60 * 60 + 3_600
    spans = [Span("worked", "ada", end - 1_800, end - 1_200), Span("queued", "ada", end - 600, end - 599)]
    life = Life("task-001", spans=spans)
    text = page(day.seen()._replace(lives=[life], begin=end - 86_400, end=end), "shop")
    drawn = re.findall(r'<rect x="([\d.]+)" y="\d+" width="([\d.]+)"[^>]*class="(\w+)"><title>', text)
    assert [kind for *_, kind in drawn] == ["worked", "queued"]
    (left, ten, _), (later, one, _) = drawn
    assert float(ten) == pytest.approx(10 * float(one), abs=0.6)
    assert float(later) - float(left) == pytest.approx(20 * float(one), abs=2)


def test_what_lies_outside_of_the_last_day_is_not_drawn(tmp_path: Path) -> None:
    """What reaches into it is cut."""
    day = Day(tmp_path)
    seen = day.seen()
    old = Life("task-001", spans=[Span("worked", "ada", seen.begin - 7_200, seen.begin - 3_600)])
    text = page(seen._replace(lives=[old]), "shop")
    assert "Nothing was worked on in the last 24 hours." in text
    cut = Life("task-001", spans=[Span("worked", "ada", seen.begin - 7_200, seen.begin + 3_600)])
    assert "03-01 08:00 to 09:00 (1h00m): worked on by ada" in page(seen._replace(lives=[cut]), "shop")


def test_a_clock_that_is_ahead(tmp_path: Path) -> None:
    """A claim of the future is no reason for a page not to be."""
    day = Day(tmp_path)
    seen = day.seen()
    ahead = Life("task-001", spans=[Span("worked", "ada", seen.end + 7_200)])
    assert Outline(page(seen._replace(lives=[ahead]), "shop")).shape


def test_nothing_yet(tmp_path: Path) -> None:
    """A new ledger has a page."""
    text = page(Day(tmp_path).seen(), "shop")
    assert not Outline(text).open
    for part in (
        "Nobody has registered yet",
        "merge queue is empty",
        "no tasks yet",
        "All workers operational",
    ):
        assert part in text


def test_old_state_is_said_to_be_old() -> None:
    """With the time of it, and how long ago that was."""
    status = a_status(as_of=NOW - timedelta(hours=3), current=False, remote=None)
    text = "".join(Outline(page(an_overview(status=status), "shop")).texts)
    assert "State of 2026-03-01 09:00 UTC" in text
    assert "3h00m old when this page was written at 2026-03-01 12:00 UTC" in text
    assert "one machine alone" in text


def test_many_tasks_are_counted_and_some_listed() -> None:
    """Ten thousand of them, a thousand workers: the page stays of a size, and says what it leaves out."""
    many: list[Task] = [
        a_task(number, title="x" * 500, priority=1 + number % 5) for number in range(1, 10_001)
    ]
    counts, listed = sorted_out(many, set())
    claims = [a_claim(number, worker=WorkerId(f"w{number}")) for number in range(1, 1_001)]
    end = int(NOW.timestamp())
    spans = [Span("worked", "w", end - 100 * n, end - 100 * n + 50) for n in range(50, 0, -1)]
    status = a_status(
        claims=claims,
        warnings=["x" * 10_000] * 5_000,
        locks=[lock for one in claims for lock in one.public()],
    )
    lives = [Life(f"task-{number}", spans=spans) for number in range(MOST)]
    text = page(an_overview(counts=counts, listed=listed, status=status, lives=lives), "shop")
    assert len(text) < 1_500_000
    assert f"{MOST} of 10000 tasks" in text
    assert f"{MOST} of 1000 locks" in text
    assert "and 4900 more warnings" in text


@pytest.fixture
def served(serve: Serve, opened: Opened) -> Any:
    """The command with a made-up overview; the fake that gave it."""
    opened.context.repo.main_root = lambda: "/home/dana/shop"
    opened.context.repo.common_dir = "/home/dana/shop/.git"
    return serve("overview.overview", an_overview())


def test_page_in_a_file(cli: Cli, served: Any, tmp_path: Path) -> None:
    """Said in a line, in data with the state; without a word when quiet."""
    file = tmp_path / "a page.html"
    answer = cli("status", f"--html={file}", "--offline")
    assert answer.out.startswith(f"{file} is written: ")
    assert served.call_args.kwargs == {"offline": True}
    assert "<bdi>shop</bdi>" in file.read_text()
    data = cli("status", "--html", str(file), "--json").data
    assert (data["page"], data["ok"], data["remote"]) == (str(file), True, "origin")
    assert cli("-q", "status", "--html", str(file)).out == ""
    assert [path.name for path in tmp_path.iterdir()] == ["a page.html"]


def test_page_on_stdout(cli: Cli, served: Any) -> None:
    """Nothing else is there; with --json there would be."""
    del served
    answer = cli("status", "--html", "-")
    assert answer.out.startswith("<!DOCTYPE html>\n<html")
    assert answer.out.endswith("</html>\n")
    assert cli("status", "--html", "-", "--json").exit == 2


def test_page_is_not_written_in_a_dry_run(cli: Cli, served: Any, tmp_path: Path) -> None:
    """It is a change of a file."""
    del served
    assert cli("status", "--html", str(tmp_path / "x.html"), "--dry-run").exit == 0
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("name", "said"), [("", "no file"), (".", "folder"), ("none/x.html", "no folder")])
def test_page_that_can_not_be(name: str, said: str, cli: Cli, served: Any) -> None:
    """Is refused before anybody is asked, with what to do instead."""
    answer = cli("status", "--html", name)
    assert answer.exit == 2
    assert said in answer.err
    assert "hint: " in answer.err
    assert not served.called


def test_html_and_prometheus(cli: Cli, served: Any) -> None:
    """Two formats are two calls."""
    del served
    assert cli("status", "--html", "-", "--prometheus").exit == 2


def test_a_link_stays_and_what_it_leads_to_is_replaced(cli: Cli, served: Any, tmp_path: Path) -> None:
    """With the rights that the file had."""
    del served
    file, link = tmp_path / "site" / "index.html", tmp_path / "page"
    file.parent.mkdir()
    file.write_text("old")
    file.chmod(0o600)
    link.symlink_to("site/index.html")
    before = file.stat().st_ino
    assert cli("status", "--html", str(link)).exit == 0
    assert link.is_symlink()
    assert "<html" in file.read_text()
    assert file.stat().st_mode & 0o777 == 0o600
    assert file.stat().st_ino != before
    assert cli("status", "--html", "/dev/null").exit == 0
