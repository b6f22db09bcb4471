"""Keys in their file: made without losing another's, found by their secret alone, read again when the file changes."""

import json
import os
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linnet.cli.main import main
from linnet.errors import ConfigError, StorageError, UsageError
from linnet.serve.middleware import keys as module
from linnet.serve.middleware.keys import SHAPE, Keys, add_key, read_keys, revoke_key

COMMAND = [sys.executable, "-m", "linnet.cli.main", "keys"]
NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)


class Clock:
    """Seconds that grow when they are told to."""

    seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "keys.json"


def test_a_key_is_found_by_itself_alone(path):
    key, whole = add_key(path, "a team", ["predict"])
    other, _ = add_key(path, "another", ["admin", "metrics"], 60, 1000, NOW)
    keys = Keys(path)
    assert keys.find(whole) == key
    assert SHAPE.fullmatch(whole)
    assert (other.requests_per_minute, other.texts_per_day, other.expires) == (60, 1000, NOW)
    secret = whole[-64:]
    digit = "1" if secret[-1] == "0" else "0"
    for wrong in (
        "", whole[:-1], whole + "0", whole.upper(), f" {whole}", f"{whole}\n", secret, f"lk_{key.id}_",
        f"lk_{other.id}_{secret}", f"lk_00000000_{secret}", whole[:-1] + digit, f"lk_{key.id}_{key.sha256}",
    ):  # fmt: skip
        assert keys.find(wrong) is None


def test_neither_the_file_nor_its_shape_betrays_the_key(path):
    _, whole = add_key(path, "a team", ["predict"])
    assert whole[-64:] not in path.read_text()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert json.loads(path.read_text())["keys"][0]["name"] == "a team"


def test_a_file_that_stood_stays_private(path):
    add_key(path, "a", ["predict"])
    path.chmod(0o644)
    add_key(path, "b", ["predict"])
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_keys_made_at_once_are_all_there(path):
    with ThreadPoolExecutor(8) as pool:  # each opens the lock for itself, as processes do
        made = list(pool.map(lambda number: add_key(path, f"key {number}", ["predict"]), range(40)))
    keys = Keys(path)
    assert [keys.find(whole) for _, whole in made] == [key for key, _ in made]


def test_commands_at_once_lose_none(path):
    started = [
        subprocess.Popen(
            [*COMMAND, "add", f"key {number}", "--keys", path], stdout=subprocess.PIPE, text=True
        )
        for number in range(4)
    ]
    shown = [process.communicate(timeout=300)[0].splitlines()[0] for process in started]
    keys = Keys(path)
    assert sorted(keys.find(whole).name for whole in shown) == [
        f"key {number}" for number in range(4)
    ]


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": ""},
        {"name": "x" * 101},
        {"name": "a\nb"},
        {"name": "\0"},
        {"name": "\ud800"},
        {"scopes": []},
        {"scopes": ["all"]},
        {"requests_per_minute": -1},
        {"texts_per_day": -1},
        {"expires": datetime(2027, 1, 1)},  # of no time zone
    ],
)
def test_a_key_that_is_off_is_not_made(path, wrong):
    with pytest.raises(UsageError, match=r"^No key was made: \w+: "):
        add_key(path, **{"name": "a", "scopes": ["predict"]} | wrong)
    assert not path.exists()


def test_a_place_for_no_file(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="No folder can be made"):
        add_key(tmp_path / "file" / "keys.json", "a", ["predict"])
    with pytest.raises(ConfigError, match="Is a directory"):
        add_key(tmp_path, "a", ["predict"])
    with pytest.raises(StorageError):
        add_key(tmp_path / ("x" * 300), "a", ["predict"])


def test_a_revoked_or_expired_key_says_since_when(path):
    key, whole = add_key(path, "a", ["predict"], expires=NOW)
    assert key.refusal(NOW - timedelta(seconds=1)) is None
    assert key.refusal(NOW) == "expired on 2026-11-24"
    first = revoke_key(path, key.id)
    assert first.refusal(NOW).startswith("was revoked on 20")
    assert revoke_key(path, whole) == first == Keys(path).find(whole)
    with pytest.raises(UsageError, match="no key of that id"):
        revoke_key(path, "00000000")


def test_nothing_is_revoked_where_nothing_is(path):
    with pytest.raises(ConfigError, match="There is no file of keys"):
        revoke_key(path, "00000000")
    assert list(path.parent.iterdir()) == []


SPOILT = {
    "empty": lambda whole: b"",
    "half": lambda whole: whole[:-20],
    "binary": lambda whole: bytes(range(256)),
    "a list": lambda whole: b"[]",
    "no keys": lambda whole: b'{"format": 1}',
    "a later format": lambda whole: whole.replace(b'"format": 1', b'"format": 2'),
    "one id twice": lambda whole: json.dumps(
        {"format": 1, "keys": json.loads(whole)["keys"] * 2}
    ).encode(),
    "an unknown scope": lambda whole: whole.replace(b"predict", b"everything"),
    "no hash": lambda whole: whole.replace(b'"sha256": "', b'"sha256": "0'),
    "nested": lambda whole: b"[" * 100_000,
}


@pytest.mark.parametrize("name", SPOILT)
def test_a_broken_file_is_one_sentence_and_opens_nothing(path, name, caplog):
    clock = Clock()
    _, whole = add_key(path, "a", ["predict"])
    keys = Keys(path, clock)
    path.write_bytes(SPOILT[name](path.read_bytes()))
    with pytest.raises(ConfigError, match="is not a file of keys: ") as caught:
        read_keys(path)
    assert len(str(caught.value).splitlines()) == 1
    clock.seconds += 1
    assert keys.find(whole) is not None  # those read before
    assert keys.find("lk_00000000_" + "0" * 64) is None
    assert "stay in force" in caplog.text and keys.stale
    assert whole[-64:] not in caplog.text


@pytest.mark.parametrize("mode", [0o666, 0o620, 0o602, 0o777])
def test_a_file_that_others_may_write_is_refused_with_the_command(path, mode, caplog):
    clock = Clock()
    _, whole = add_key(path, "a", ["predict"])
    keys = Keys(path, clock)
    path.chmod(mode)
    with pytest.raises(ConfigError, match=rf"its mode is {mode:04o}.* Run `chmod go-w {path}`"):
        Keys(path)
    with pytest.raises(ConfigError, match="may be written by other users"):
        add_key(path, "b", ["predict"])
    clock.seconds += 1
    assert keys.find(whole) is not None
    assert "may be written by other users" in keys.stale and "stay in force" in caplog.text
    path.chmod(mode & ~0o022)
    clock.seconds += 1
    assert keys.find(whole) is not None and keys.stale is None


def test_a_pipe_or_a_device_in_the_place_of_keys_is_refused_at_once(path):
    clock = Clock()
    _, whole = add_key(path, "a", ["predict"])
    keys = Keys(path, clock)
    path.unlink()
    os.mkfifo(path, 0o600)
    with pytest.raises(ConfigError, match=r"a pipe, a device or a socket\. Expected a plain file"):
        read_keys(path)
    clock.seconds += 1
    assert keys.find(whole) is not None
    assert "plain file" in keys.stale
    path.unlink()
    path.symlink_to("/dev/zero")
    with pytest.raises(ConfigError, match="Expected a plain file"):
        read_keys(path)


def test_a_change_is_seen_a_second_later_and_not_before(path):
    clock = Clock()
    key, first = add_key(path, "a", ["predict"])
    keys = Keys(path, clock)
    _, second = add_key(path, "b", ["predict"])
    revoke_key(path, key.id)
    clock.seconds = 0.99
    assert keys.find(second) is None and keys.find(first).revoked is None
    clock.seconds = 1.0
    assert keys.find(second) is not None and keys.find(first).revoked is not None


def test_a_file_that_is_gone_closes_until_it_is_back(path, caplog):
    clock = Clock()
    _, whole = add_key(path, "a", ["predict"])
    keys = Keys(path, clock)
    aside = path.rename(path.with_name("aside"))
    clock.seconds += 1
    assert keys.find(whole) is None and not keys.in_force(NOW)
    assert "is gone" in caplog.text and keys.stale
    path.write_text("{")  # broken, and none before to keep
    clock.seconds += 1
    assert keys.find(whole) is None
    aside.replace(path)
    clock.seconds += 1
    assert keys.find(whole) is not None and keys.stale is None


def test_a_file_that_can_not_be_read_changes_nothing(path):
    clock = Clock()
    _, whole = add_key(path, "a", ["predict"])
    keys = Keys(path, clock)
    aside = path.rename(path.with_name("aside"))
    path.mkdir()
    clock.seconds += 1
    assert keys.find(whole) is not None and "Is a directory" in keys.stale
    path.rmdir()
    aside.rename(path)
    clock.seconds += 1
    assert keys.find(whole) is not None and keys.stale is None


def test_a_broken_file_is_told_of_once(path, caplog):
    clock = Clock()
    add_key(path, "a", ["predict"])
    keys = Keys(path, clock)
    path.write_text("{")
    for _ in range(5):
        clock.seconds += 1
        keys.look()
    assert len(caplog.records) == 1


@given(
    st.text()
    | st.text("lk_0123456789abcdef", max_size=80)
    | st.binary().map(lambda sent: sent.decode("latin-1"))
)
def test_nothing_else_is_a_key(sent):
    assert shared().find(sent) is None


def shared(found: list[Keys] = []) -> Keys:  # noqa: B006 - made once
    if not found:
        import tempfile

        with tempfile.TemporaryDirectory() as folder:
            add_key(Path(folder, "keys.json"), "a", ["predict"])
            found.append(Keys(Path(folder, "keys.json"), Clock()))
    return found[0]


def test_the_command_adds_lists_and_revokes(path, capsys):
    at = ["--keys", str(path)]
    limits = ["--requests-per-minute", "60", "--texts-per-day", "1000", "--expires", "2999-01-31"]
    assert main(["keys", "add", "a team", "--scopes", "predict, metrics", *limits, *at]) == 0
    whole, told = capsys.readouterr().out.splitlines()
    key = Keys(path).find(whole)
    assert key.scopes == ("predict", "metrics") and key.expires == datetime(2999, 1, 31, tzinfo=UTC)
    assert key.id in told and "only now" in told
    assert main(["keys", "list", *at]) == 0
    shown = capsys.readouterr().out
    assert whole[-64:] not in shown and key.sha256 not in shown
    assert shown.splitlines()[1].split()[:7] == [
        key.id,
        "a",
        "team",
        "predict,metrics",
        "60",
        "1,000",
        str(key.created.date()),
    ]
    assert "expires on 2999-01-31" in shown
    assert main(["keys", "revoke", key.id, *at]) == 0
    assert "was revoked" in capsys.readouterr().out
    assert main(["keys", "list", *at]) == 0
    assert "was revoked" in capsys.readouterr().out


@pytest.mark.parametrize(
    "call",
    [
        ["list"],
        ["revoke", "00000000"],
        ["add", "a", "--scopes", "all"],
        ["add", "a", "--scopes", ""],
        ["add", "a", "--expires", "soon"],
        ["add", "a", "--expires", "2020-01-01"],
        ["add", "\udcff"],
        ["add", "a", "--texts-per-day", "-1"],
    ],
)
def test_a_mistake_is_one_sentence(path, call, capsys):
    assert main(["keys", *call, "--keys", str(path)]) == 2
    told = capsys.readouterr()
    assert told.out == "" and told.err.startswith("linnet: ") and len(told.err.splitlines()) == 1


def test_secrets_are_compared_in_constant_time_also_for_an_unknown_id(path, monkeypatch):
    """Nothing else may compare them: how long that takes would tell how much of a guess is right."""
    key, sent = add_key(path, "a", ["predict"])
    keys, compared = Keys(path), []

    def compare(one, other):
        compared.append((one, other))
        return False

    monkeypatch.setattr(module.hmac, "compare_digest", compare)
    assert keys.find(sent) is None  # though it is right: nothing but that function decides
    assert keys.find(sent.replace(key.id, "0" * 8)) is None
    digest = module._sha256(sent.rpartition("_")[2])
    assert compared == [(digest, digest), (digest, module.NOBODY)]
