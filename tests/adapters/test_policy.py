"""`.gitpw.toml`, read and written."""

from __future__ import annotations

import os
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gitpw.adapters.policy import (
    INITIAL,
    Rule,
    add_values,
    get_value,
    list_rules,
    load_policy,
    remove_values,
    set_value,
    unset_value,
    write_initial,
)
from gitpw.adapters.toml import literal
from gitpw.domain.policy import CRITICAL, Policy
from gitpw.errors import ConfigError, InvalidError, UsageError


def write(root: Path, text: str) -> str:
    """Put a policy into a folder; the folder."""
    (root / ".gitpw.toml").write_bytes(text.encode())
    return str(root)


def text(root: Path) -> str:
    """The policy as it stands there."""
    return (root / ".gitpw.toml").read_bytes().decode()


def test_defaults_without_a_file(tmp_path: Path) -> None:
    """No file, or no checkout, means the defaults."""
    assert load_policy(str(tmp_path)) == Policy()
    assert load_policy(None) == Policy()


def test_values_are_read(tmp_path: Path) -> None:
    """Every table of the file counts."""
    policy = load_policy(write(tmp_path, 'remote = "up"\n[claim]\nlease = "2h"\n[agent]\nmax_cost = 5\n'))
    assert (policy.remote, policy.claim.lease, policy.agent.max_cost) == ("up", "2h", 5.0)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[claim]\nlease = \n", r"^\.gitpw\.toml:2: "),
        ("x = [[", r"^\.gitpw\.toml:1: "),
        ("[claim]\n\n# x\nlease = 60\n", r"^\.gitpw\.toml:4: claim\.lease: expected a text in quotes"),
        ("[claim]\nlease = 'soon'\n", r"^\.gitpw\.toml:2: claim\.lease: 'soon' is no duration"),
        ("[agent.timeout]\nfix = '3x'\n", r"^\.gitpw\.toml:2: agent\.timeout\.fix: '3x' is no duration"),
        ("[policy]\nsigned = 'yes'\n", r"^\.gitpw\.toml:2: policy\.signed: expected true or false"),
        ("[policy]\nenforce = 'no'\n", r"^\.gitpw\.toml:2: policy\.enforce: expected 'held' or 'strict'"),
        (
            "[policy]\ncritical = ['a', 1]\n",
            r"^\.gitpw\.toml:2: policy\.critical: expected a text in quotes$",
        ),
        (
            "[policy]\ncritical = [\n'a',\n1]\n",
            r"^\.gitpw\.toml:4: policy\.critical: expected a text in quotes$",
        ),
        (
            "[policy]\nignore = [\n'a',\n'../b',\n]\n",
            r"^\.gitpw\.toml:4: policy\.ignore: '\.\./b' leaves the",
        ),
        ("policy.lockable = ['']\n", r"^\.gitpw\.toml:1: policy\.lockable: an empty path"),
        (
            "policy = { critical = ['/etc'] }\n",
            r"^\.gitpw\.toml:1: policy\.critical: '/etc' is an absolute path",
        ),
        ("[policy]\n'critical' = ['.git/config']\n", r"^\.gitpw\.toml:2: policy\.critical: .* is git's own"),
        ("[claim]\nlease = '0s'\n", r"^\.gitpw\.toml:2: claim\.lease: '0s' is no time at all"),
        ("[claim]\nbranch = 'x'\n", r"^\.gitpw\.toml:2: claim\.branch: 'x' makes no branch names"),
        ("[claim]\nworktrees = 'x'\n", r"^\.gitpw\.toml:2: claim\.worktrees: 'x' names no folder for each"),
        ("[merge]\nbase = 'a..b'\n", r"^\.gitpw\.toml:2: merge\.base: 'a\.\.b' is no name for a branch"),
        ("[merge]\ntest = ['a', 3]\n", r"^\.gitpw\.toml:2: merge\.test: expected a text in quotes$"),
        ("[agent]\nmax_cost = true\n", r"^\.gitpw\.toml:2: agent\.max_cost: expected a number"),
        ("[agent]\nmax_cost = '5'\n", r"^\.gitpw\.toml:2: agent\.max_cost: expected a number"),
        ("[agent]\nmax_cost = inf\n", r"^\.gitpw\.toml:2: agent\.max_cost: expected a number"),
        ("\n[[claim]]\nlease = '1m'\n", r"^\.gitpw\.toml:2: claim: expected a table"),
        ("[claim]\r\n\r\nlease = 1\r\n", r"^\.gitpw\.toml:3: claim\.lease: expected a text"),
        ("[claim]\nlease = 2020-01-01 10:00:00\n", r"^\.gitpw\.toml:2: claim\.lease: expected a text"),
        ("[claim]\nlease = '1m'\nlease = '2m'\n", r"^\.gitpw\.toml:3: lease is there twice"),
        ("[claim]\n[merge]\n[claim] # more\n", r"^\.gitpw\.toml:3: \[claim\] is there twice"),
        ("claim.wait = 3\n[claim.x]\nlease = 1\n", r"^\.gitpw\.toml:1: claim\.wait: expected a text"),
        ("[merge]\ntest = 3\n", r"^\.gitpw\.toml:2: merge\.test: expected a text in quotes or a list"),
        ("[merge]\nwindow = 0\n", r"^\.gitpw\.toml:2: merge\.window: expected greater than or equal to 1"),
        ("policy = 3\n", r"^\.gitpw\.toml:1: policy: expected a table"),
    ],
)
def test_what_is_wrong_is_named_with_its_line(tmp_path: Path, content: str, message: str) -> None:
    """Broken TOML, wrong types and bad values: where, and what was expected."""
    with pytest.raises(ConfigError, match=message):
        load_policy(write(tmp_path, content))


@pytest.mark.parametrize(
    ("content", "nearest"),
    [
        ("[claim]\nleese = '1m'\n", "claim.lease"),
        ("lease = '1m'\n", "claim.lease"),
        ("[polcy]\nenforce = 'held'\n", "policy"),
        ("ledgr = 'x'\n", "ledger"),
        ("[claims]\nlease = '1m'\n", "claim"),
        ("[policy]\ncritcal = []\n", "policy.critical"),
        ("[merge]\nonConflict = 'x'\n", "merge.on_conflict"),
    ],
)
def test_unknown_key_names_the_nearest(tmp_path: Path, content: str, nearest: str) -> None:
    """A slip of the pen, or a key in the wrong table."""
    with pytest.raises(ConfigError, match="there is no such key") as caught:
        load_policy(write(tmp_path, content))
    assert caught.value.hint == f"did you mean {nearest}?"


def test_hostile_files_are_refused(tmp_path: Path) -> None:
    """A link to a device, or something huge, is never read; text that isn't UTF-8 is named."""
    file = tmp_path / ".gitpw.toml"
    file.symlink_to("/dev/zero")
    with pytest.raises(ConfigError, match="no ordinary file"):
        load_policy(str(tmp_path))
    file.unlink()
    file.write_bytes(b"#" * (2 << 20))
    with pytest.raises(ConfigError, match="no ordinary file"):
        load_policy(str(tmp_path))
    file.write_bytes(b"remote = '\xff'")
    with pytest.raises(ConfigError, match="isn't UTF-8"):
        load_policy(str(tmp_path))
    file.write_text("x = " + "[" * 100_000)
    with pytest.raises(ConfigError):
        load_policy(str(tmp_path))


def test_values_are_given_by_key(tmp_path: Path) -> None:
    """With dots; the default where nothing is set."""
    root = write(tmp_path, "[agent]\ntimeout.fix = '5m'\n")
    assert get_value(root, "claim.lease") == "60m"
    assert get_value(root, "agent.timeout.fix") == "5m"
    assert get_value(root, "agent.timeout.docs") is None
    assert get_value(root, "merge") == Policy().merge.model_dump(mode="json")


@pytest.mark.parametrize("key", ["claim.leese", "nothing", "claim.lease.x", "", "a.b.c"])
def test_unknown_key_can_be_neither_read_nor_written(tmp_path: Path, key: str) -> None:
    """Exit 78, as in the file."""
    with pytest.raises(ConfigError, match="no such key"):
        get_value(str(tmp_path), key)
    with pytest.raises(ConfigError, match="no such key"):
        set_value(str(tmp_path), key, "1")


@pytest.mark.parametrize(
    ("key", "typed", "value"),
    [
        ("agent.max_cost", "5.5", 5.5),
        ("claim.lease", "90m", "90m"),
        ("github.labels.a b", "x", "x"),
        ("ledger", "12345", "12345"),
        ("merge.test", "make # all", "make # all"),
        ("merge.test", '["a", "b"]', ["a", "b"]),
        ("merge.window", "7", 7),
        ("policy.critical", "x.lock", ["x.lock"]),
        ("policy.critical", '["a#b", "c"]', ["a#b", "c"]),
        ("policy.trailers", "no", False),
        ("policy.trailers", "true", True),
    ],
)
def test_text_is_taken_by_the_keys_type(tmp_path: Path, key: str, typed: str, value: object) -> None:
    """What a person types becomes what the key takes."""
    set_value(str(tmp_path), key, typed)
    assert get_value(str(tmp_path), key) == value


@pytest.mark.parametrize(
    ("key", "typed", "error"),
    [
        ("claim.lease", "soon", InvalidError),
        ("merge.window", "700", InvalidError),
        ("merge.window", "many", UsageError),
        ("policy.enforce", "no", InvalidError),
        ("policy.signed", "maybe", UsageError),
        ("claim", "1", UsageError),
    ],
)
def test_bad_value_changes_nothing(tmp_path: Path, key: str, typed: str, error: type[Exception]) -> None:
    """Unparsable is usage, out of range or outside a set invalid."""
    root = write(tmp_path, "# mine\n")
    with pytest.raises(error):
        set_value(root, key, typed)
    assert text(tmp_path) == "# mine\n"


def test_broken_file_is_not_written_to(tmp_path: Path) -> None:
    """What can't be read can't be changed."""
    root = write(tmp_path, "[claim\n")
    with pytest.raises(ConfigError):
        set_value(root, "claim.lease", "5m")
    assert text(tmp_path) == "[claim\n"


WRITTEN = """\
# top
ledger = "a"   # keep me

[policy]
critical = [   # several
  "a", # one
  "b",
]

# about claims
[claim]  # here
lease = "1m"   # lease # twice

# about merging
[merge]
"base" = "x#y"
"""


@pytest.mark.parametrize(
    ("key", "typed", "before", "after"),
    [
        ("claim.lease", "3m", 'lease = "1m"   # lease # twice', 'lease = "3m"   # lease # twice'),
        ("claim.wait", "9s", "# lease # twice\n", '# lease # twice\nwait = "9s"\n'),
        ("ledger", "b", '"a"   # keep me', '"b"   # keep me'),
        ("merge.base", "q", '"base" = "x#y"', '"base" = "q"'),
        ("merge.window", "3", '"x#y"\n', '"x#y"\nwindow = 3\n'),
        ("notify.urls", "desktop:u", '"x#y"\n', '"x#y"\n\n[notify]\nurls = ["desktop:u"]\n'),
        ("policy.critical", "z", '  "a", # one\n  "b",\n', '  "z",\n'),
        ("remote", "o", "# keep me\n", '# keep me\nremote = "o"\n'),
    ],
)
def test_layout_and_comments_stay(tmp_path: Path, key: str, typed: str, before: str, after: str) -> None:
    """Only the one line changes, or is added where it belongs."""
    set_value(write(tmp_path, WRITTEN), key, typed)
    assert WRITTEN.count(before) == 1
    assert text(tmp_path) == WRITTEN.replace(before, after)


STARTS = (
    "",
    WRITTEN,
    INITIAL.format(ledger='"a"'),
    "\ufeffclaim.lease = '1m' # mine\r\n[policy]\r\nlockable = ['a', # one\r\n 'b' ]\r\n",
    "claim = { lease = '1m' }\nagent = { timeout = { fix = '1m' } }\n[policy]\n",
)
VALUES: dict[str, st.SearchStrategy[object]] = {
    "agent.max_cost": st.floats(0, 100).map(lambda cost: round(cost, 2)),
    "agent.timeout.fix": st.sampled_from(["1m", "90s"]),
    "claim.lease": st.sampled_from(["1m", "90s", "2h"]),
    "github.labels.a b": st.text(max_size=9),
    "merge.window": st.integers(1, 100),
    "merge.test": st.lists(st.text(min_size=1, max_size=9), max_size=3),
    "policy.lockable": st.lists(st.sampled_from(["a", "**/*.psd", "x y/?", "literal:*"]), unique=True),
    "policy.trailers": st.booleans(),
}


@given(st.sampled_from(STARTS), st.data())
@settings(max_examples=40)
def test_any_change_leaves_the_other_rules_as_they_are(start: str, data: st.DataObject) -> None:
    """Whatever was set, added, removed or taken out before: what was asked for holds, and nothing else has changed."""
    with TemporaryDirectory() as folder:
        write(Path(folder), start)
        for key in data.draw(st.lists(st.sampled_from(sorted(VALUES)), min_size=1, max_size=5)):
            before = {rule.key: rule.value for rule in list_rules(folder)}
            value = data.draw(VALUES[key])
            if data.draw(st.booleans()):
                unset_value(folder, key)
                assert not unset_value(folder, key)
            elif isinstance(value, list) and data.draw(st.booleans()):
                add_values(folder, key, value)
                assert set(get_value(folder, key)) >= set(value)
                remove_values(folder, key, value)
                assert not set(get_value(folder, key)) & set(value)
            else:
                set_value(folder, key, value if isinstance(value, str) else literal(value))
                assert get_value(folder, key) == value
            after = {rule.key: rule.value for rule in list_rules(folder)}
            apart = {key, "agent.timeout", "github.labels"}
            assert {name: one for name, one in before.items() if name not in apart} == {
                name: one for name, one in after.items() if name not in apart
            }
        comments = [line for line in start.splitlines() if line.startswith("#")]
        assert [line for line in text(Path(folder)).splitlines() if line.startswith("#")] == comments


def test_windows_line_ends_stay(tmp_path: Path) -> None:
    """A file keeps its kind of line ends."""
    root = write(tmp_path, '[claim]\r\nlease = "1m"\r\n')
    set_value(root, "claim.lease", "2m")
    set_value(root, "claim.wait", "3m")
    assert text(tmp_path) == '[claim]\r\nlease = "2m"\r\nwait = "3m"\r\n'


def test_table_in_braces_is_changed_in_place(tmp_path: Path) -> None:
    """Whatever stands around the value stays."""
    root = write(tmp_path, 'claim = { lease = "1m", wait = "2m" }  # short\n')
    set_value(root, "claim.lease", "3m")
    unset_value(root, "claim.wait")
    set_value(root, "claim.setup", '["npm ci"]')
    assert text(tmp_path) == 'claim = { lease = "3m", setup = ["npm ci"] }  # short\n'


def test_byte_order_mark_is_no_error(tmp_path: Path) -> None:
    """Some editors write one: it is read over, and stays."""
    root = write(tmp_path, "\ufeff# mine\r\nclaim.lease = '1m'\r\n")
    assert load_policy(root).claim.lease == "1m"
    set_value(root, "claim.lease", "2m")
    assert text(tmp_path) == '\ufeff# mine\r\nclaim.lease = "2m"\r\n'


def test_wrong_keys_can_be_mended_one_by_one(tmp_path: Path) -> None:
    """`git pw config` is the way out of a file that no other command takes."""
    root = write(tmp_path, "[claim]\nlease = 'soon'\nleese = '1m'\n[merge]\nwindow = 0\n")
    set_value(root, "claim.lease", "5m")
    with pytest.raises(ConfigError, match=r"^\.gitpw\.toml:3: claim\.leese"):
        load_policy(root)
    assert unset_value(root, "claim.leese")
    with pytest.raises(ConfigError, match=r"^\.gitpw\.toml:4: merge\.window"):
        load_policy(root)
    set_value(root, "merge.window", "3")
    assert load_policy(root).merge.window == 3


def test_key_is_taken_out_with_its_line(tmp_path: Path) -> None:
    """The default holds again; comments on lines of their own stay; doing it twice is no error."""
    root = write(tmp_path, WRITTEN)
    assert unset_value(root, "claim.lease")
    assert text(tmp_path) == WRITTEN.replace('lease = "1m"   # lease # twice\n', "")
    assert not unset_value(root, "claim.lease")
    assert unset_value(root, "policy")
    assert load_policy(root).policy.critical == list(CRITICAL)
    with pytest.raises(ConfigError, match="no such key"):
        unset_value(root, "claim.leese")


def test_lists_grow_and_shrink(tmp_path: Path) -> None:
    """The other items keep their lines, and a list that isn't set begins as the default."""
    root = write(tmp_path, WRITTEN)
    assert add_values(root, "policy.critical", ["c", "a"])
    assert text(tmp_path) == WRITTEN.replace('  "b",\n', '  "b",\n  "c",\n')
    assert not add_values(root, "policy.critical", ["c"])
    assert remove_values(root, "policy.critical", ["c", "b"])
    assert text(tmp_path) == WRITTEN.replace('  "b",\n', "")
    unset_value(root, "policy.critical")
    assert add_values(root, "policy.critical", ["x"])
    assert load_policy(root).policy.critical == [*CRITICAL, "x"]
    assert remove_values(root, "policy.critical", ["**/go.mod"])
    assert "**/go.mod" not in load_policy(root).policy.critical
    assert max(map(len, text(tmp_path).splitlines())) < 80
    set_value(root, "merge.test", "make")
    assert add_values(root, "merge.test", ["make check"])
    assert load_policy(root).merge.test == ["make", "make check"]


def test_only_lists_grow(tmp_path: Path) -> None:
    """What an item breaks is invalid, and so is a key that takes no list."""
    with pytest.raises(InvalidError, match="no list"):
        add_values(str(tmp_path), "claim.lease", ["1m"])
    with pytest.raises(InvalidError, match="leaves the repository"):
        add_values(str(tmp_path), "policy.lockable", ["../x"])
    assert not (tmp_path / ".gitpw.toml").exists()


def test_rules_are_listed_with_their_lines(tmp_path: Path) -> None:
    """All keys; those that the file sets with the line that does."""
    rules = {rule.key: rule for rule in list_rules(write(tmp_path, "# x\n[agent]\ntimeout.fix = '5m'\n"))}
    assert rules["agent.timeout.fix"] == Rule("agent.timeout.fix", "5m", 3)
    assert rules["claim.lease"] == Rule("claim.lease", "60m", None)
    assert rules["github.labels"] == Rule("github.labels", {}, None)
    assert list_rules(None)[0] == Rule("ledger", None, None)


def test_link_is_not_replaced(tmp_path: Path) -> None:
    """A file that is a link stays one, and what it points to isn't written to."""
    (tmp_path / "there").write_text("# mine\n")
    (tmp_path / ".gitpw.toml").symlink_to("there")
    with pytest.raises(InvalidError, match="is a link"):
        set_value(str(tmp_path), "claim.lease", "5m")
    assert (tmp_path / "there").read_text() == "# mine\n"


def test_mode_of_the_file_stays(tmp_path: Path) -> None:
    """As far as the umask leaves it."""
    root = write(tmp_path, "# mine\n")
    (tmp_path / ".gitpw.toml").chmod(0o600)
    set_value(root, "claim.lease", "5m")
    assert (tmp_path / ".gitpw.toml").stat().st_mode & 0o777 == 0o600


def test_initial_file_holds_the_ledger(tmp_path: Path) -> None:
    """A file that can be read back, once."""
    assert write_initial(str(tmp_path), "0123abcd")
    assert load_policy(str(tmp_path)) == Policy(ledger="0123abcd")
    assert not write_initial(str(tmp_path), "other")
    assert load_policy(str(tmp_path)).ledger == "0123abcd"


def test_initial_file_takes_every_key(tmp_path: Path) -> None:
    """What is written into it later doesn't disturb its comments."""
    write_initial(str(tmp_path), "x")
    comments = [line for line in text(tmp_path).splitlines() if line.startswith("#")]
    for key, value in [("remote", "o"), ("claim.lease", "2h"), ("merge.test", "make"), ("claim.wait", "1m")]:
        set_value(str(tmp_path), key, value)
    assert [line for line in text(tmp_path).splitlines() if line.startswith("#")] == comments
    assert load_policy(str(tmp_path)).claim.wait == "1m"


def test_nothing_is_left_beside_the_file(tmp_path: Path) -> None:
    """It is replaced as a whole, by way of a file that is gone afterwards."""
    write_initial(str(tmp_path), "x")
    set_value(str(tmp_path), "remote", "o")
    assert os.listdir(tmp_path) == [".gitpw.toml"]  # noqa: PTH208
