"""Files and folders appear whole or not at all: under errors, a full disk and SIGKILL at any moment."""

import ctypes
import errno
import hashlib
import json
import os
import resource
import signal
import stat
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linnet import resume
from linnet.errors import StorageError, UsageError
from linnet.files import canonical_json, digest, install, locked, whole_directory, write_text

DEAD = 2**22 + 1  # above the largest process id that Linux gives


def names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


def run_limited(code: str, *arguments: object, file_size: int) -> subprocess.CompletedProcess[str]:
    """Run Python in a process whose files may not grow beyond a size, which is how a full disk looks to it."""
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code), *map(str, arguments)],
        capture_output=True,
        text=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (file_size, file_size)),
    )


def test_a_text_is_written_and_replaced(tmp_path):
    path = tmp_path / "deep" / "folder" / "file.txt"
    write_text(path, "first\n")
    write_text(path, "zweite Zeile 😀\r\n")
    assert path.read_bytes() == "zweite Zeile 😀\r\n".encode()
    assert names(path.parent) == ["file.txt"]


def test_what_is_not_unicode_is_escaped(tmp_path):
    path = tmp_path / "file.txt"
    write_text(path, "\ud800 caf\udce9.csv")
    assert path.read_text() == "\\ud800 caf\\xe9.csv"
    assert json.loads(canonical_json({"caf\udce9": ["\ud800"]})) == {"caf\\xe9": ["\\ud800"]}


def test_what_a_kill_left_behind_goes_when_the_file_is_written_again(tmp_path):
    done = subprocess.Popen([sys.executable, "-c", ""])
    done.wait()
    left = [tmp_path / f".{name}.{done.pid}.tmp" for name in ("answers.npz", "other.npz")]
    for file in left:
        file.write_text("half")
    (tmp_path / "new").write_text("whole")
    install(tmp_path / "new", tmp_path / "answers.npz")
    assert names(tmp_path) == [left[1].name, "answers.npz"]
    assert (tmp_path / "answers.npz").read_text() == "whole"


def test_a_full_disk_leaves_the_old_text(tmp_path):
    path = tmp_path / "file.txt"
    write_text(path, "old")
    code = """
        import sys
        from pathlib import Path
        from linnet.errors import StorageError
        from linnet.files import write_text
        try:
            write_text(Path(sys.argv[1]), "x" * 100_000)
        except StorageError as error:
            print(error)
    """
    done = run_limited(code, path, file_size=10_000)
    assert done.stdout.startswith(
        f"Could not write {path}: File too large. What stood there is unchanged."
    ), done.stderr
    assert path.read_text() == "old"
    assert names(tmp_path) == ["file.txt"]


def test_a_full_disk_leaves_the_old_folder(tmp_path):
    target = tmp_path / "bundle"
    with whole_directory(target) as folder:
        (folder / "old").write_text("old")
    code = """
        import sys
        from pathlib import Path
        from linnet.errors import StorageError
        from linnet.files import whole_directory
        try:
            with whole_directory(Path(sys.argv[1])) as folder:
                (folder / "small").write_text("fits")
                (folder / "large").write_bytes(bytes(100_000))
        except StorageError as error:
            print(error)
    """
    done = run_limited(code, target, file_size=10_000)
    assert done.stdout.startswith(f"Could not write {target}: File too large."), done.stderr
    assert names(tmp_path) == ["bundle"]
    assert names(target) == ["old"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="/dev/full is Linux's own")
def test_a_device_without_room_is_a_storage_error(tmp_path):
    with (
        pytest.raises(StorageError, match="No space left on device"),
        whole_directory(tmp_path / "out") as folder,
    ):
        (folder / "a").write_text("written")
        with Path("/dev/full").open("w") as file:
            file.write("refused")
    assert names(tmp_path) == []


def test_a_folder_appears_when_the_block_ends(tmp_path):
    target = tmp_path / "deep" / "bundle"
    with whole_directory(target) as folder:
        (folder / "sub").mkdir()
        (folder / "sub" / "file").write_text("content")
        assert not target.exists()
    assert (target / "sub" / "file").read_text() == "content"
    assert names(target.parent) == ["bundle"]


def test_a_folder_is_replaced_as_a_whole(tmp_path):
    target = tmp_path / "bundle"
    for name in ("first", "second"):
        with whole_directory(target) as folder:
            (folder / name).write_text(name)
    assert names(target) == ["second"]
    assert names(tmp_path) == ["bundle"]


@pytest.mark.parametrize(
    "error", [ValueError("x"), KeyboardInterrupt(), SystemExit(1), OSError(errno.ENOTTY, "x")]
)
def test_an_error_leaves_the_old_folder(tmp_path, error):
    target = tmp_path / "bundle"
    with whole_directory(target) as folder:
        (folder / "old").write_text("old")
    with pytest.raises(type(error)), whole_directory(target) as folder:
        (folder / "new").write_text("new")
        raise error
    assert names(target) == ["old"]
    assert names(tmp_path) == ["bundle"]


def test_a_file_is_not_replaced_by_a_folder(tmp_path):
    target = tmp_path / "notes.txt"
    target.write_text("mine")
    with pytest.raises(UsageError, match="is no folder"), whole_directory(target):
        raise AssertionError("not reached")
    assert target.read_text() == "mine"


def test_a_file_that_can_not_be_read_is_no_failed_write(tmp_path):
    secret = tmp_path / "secret"
    with pytest.raises(PermissionError), whole_directory(tmp_path / "out"):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(secret))
    with (
        pytest.raises(StorageError, match="Permission denied"),
        whole_directory(tmp_path / "out") as folder,
    ):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(folder / "file"))


def test_leftovers_of_dead_processes_are_removed(tmp_path):
    leftovers = [tmp_path / f".bundle.{DEAD}.abc_1234.tmp", tmp_path / f".card.json.{DEAD}.tmp"]
    others = [
        tmp_path / f".bundle.{os.getpid()}.abcdefgh.tmp",  # alive
        tmp_path / f".bundle.{DEAD}.{os.getpid()}.abcdefgh.tmp",  # of the folder "bundle.NUMBER"
        tmp_path / f".bundle.x.{DEAD}.abcdefgh.tmp",  # of the folder "bundle.x"
        tmp_path / f".bundle.{DEAD}.abcdefgh.tmp.old",  # may be the only copy
    ]
    for path in [leftovers[0], *others]:
        path.mkdir()
    leftovers[1].write_text("half")
    with whole_directory(tmp_path / "bundle") as folder:
        (folder / "file").write_text("")
    write_text(tmp_path / "card.json", "{}")
    assert not any(path.exists() for path in leftovers)
    assert all(path.exists() for path in others)


@pytest.mark.parametrize("name", ["[a-z]", "a*", "with space", "ä"])
def test_odd_names(tmp_path, name):
    for _ in range(2):
        with whole_directory(tmp_path / name) as folder:
            (folder / name).write_text(name)
    write_text(tmp_path / name / name, "again")
    assert names(tmp_path) == [name]
    assert (tmp_path / name / name).read_text() == "again"


class NoExchange:
    """A C library of a system that can't swap two folders."""

    def __init__(self, *_: object, **__: object):
        pass


def test_systems_without_an_exchange_fall_back_to_renames(tmp_path, monkeypatch):
    monkeypatch.setattr(ctypes, "CDLL", NoExchange)
    test_a_folder_is_replaced_as_a_whole(tmp_path)


KILLED = """
    import sys
    from pathlib import Path
    from linnet.files import whole_directory, write_text
    target = Path(sys.argv[1])
    for number in range(10**6):
        with whole_directory(target) as folder:
            for part in range(4):
                (folder / f"{part}").write_text(f"{number}")
        write_text(target.parent / "file", f"{number} " * 1000)
        if number == 0:
            print("ready", flush=True)
"""


def test_sigkill_at_any_moment_leaves_a_whole_folder(tmp_path):
    target = tmp_path / "bundle"
    half_written = 0
    for moment in range(25):
        process = subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(KILLED), target], stdout=subprocess.PIPE
        )
        assert process.stdout.readline() == b"ready\n"
        time.sleep(0.0007 * moment)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        assert names(target) == ["0", "1", "2", "3"]
        assert len({(target / name).read_text() for name in names(target)}) == 1
        parts = (tmp_path / "file").read_text().split()
        assert len(parts) == 1000 and len(set(parts)) == 1
        half_written += len(names(tmp_path)) > 2
    assert half_written > 0  # some kills fell among the writes, not between them
    with whole_directory(target) as folder:
        (folder / "last").write_text("")
    write_text(tmp_path / "file", "")
    assert names(tmp_path) == ["bundle", "file"]


def test_a_digest_is_the_sha256(tmp_path):
    (tmp_path / "file").write_bytes(b"abc" * 100_000)
    assert digest(tmp_path / "file") == hashlib.sha256(b"abc" * 100_000).hexdigest()


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=10,
)


@given(json_values)
def test_canonical_json_reads_back(value):
    assert json.loads(canonical_json(value)) == value


@given(st.dictionaries(st.text(), st.integers(), max_size=6))
def test_canonical_json_does_not_depend_on_the_order(value):
    assert canonical_json(value) == canonical_json(dict(reversed(value.items())))


def test_canonical_json_refuses_what_json_lacks():
    with pytest.raises(ValueError, match="not JSON compliant"):
        canonical_json({"loss": float("nan")})


def test_a_folder_of_another_kind_is_never_replaced(tmp_path, monkeypatch):
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "thesis.txt").write_text("mine")
    with (
        pytest.raises(UsageError, match="not Linnet's to replace"),
        whole_directory(precious, holds="card.json"),
    ):
        raise AssertionError("no work may begin")
    assert names(precious) == ["thesis.txt"]

    (precious / "card.json").write_text("{}")
    with whole_directory(precious, holds="card.json") as folder:
        (folder / "card.json").write_text("{}")
    assert names(precious) == ["card.json"]


def test_a_folder_that_holds_more_than_its_kind_is_not_replaced(tmp_path):
    target = tmp_path / "splits"
    target.mkdir()
    for name in ("card.json", "rows.csv", ".DS_Store"):
        (target / name).touch()
    with (
        pytest.raises(UsageError, match=r"'rows.csv' in it, which Linnet didn't write"),
        whole_directory(target, holds="card.json", only={"card.json"}),
    ):
        raise AssertionError("no work may begin")
    assert names(target) == [".DS_Store", "card.json", "rows.csv"]
    (target / "rows.csv").unlink()
    with whole_directory(target, holds="card.json", only={"card.json"}) as folder:
        (folder / "card.json").touch()
    assert names(target) == ["card.json"]


@pytest.mark.parametrize("inside", [".", "below"])
def test_the_working_folder_is_never_replaced(tmp_path, monkeypatch, inside):
    (tmp_path / "below").mkdir()
    monkeypatch.chdir(tmp_path / inside)
    with pytest.raises(UsageError, match="folder you work in"), whole_directory(tmp_path):
        raise AssertionError("no work may begin")
    assert names(tmp_path) == ["below"]


def test_what_is_no_folder_is_never_replaced(tmp_path):
    pipe, file = tmp_path / "pipe", tmp_path / "file"
    os.mkfifo(pipe)
    file.touch()
    for target in (pipe, file, file / "below"):
        with pytest.raises(UsageError), whole_directory(target):
            raise AssertionError("no work may begin")
    assert names(tmp_path) == ["file", "pipe"]


@pytest.mark.parametrize("length", [250, 300])  # too long for what is written beside it; too long
def test_a_name_that_no_disk_has_is_a_storage_error(tmp_path, length):
    with (
        pytest.raises(StorageError, match="File name too long"),
        whole_directory(tmp_path / ("x" * length)),
    ):
        raise AssertionError("no work may begin")
    assert names(tmp_path) == []


@pytest.mark.skipif(os.geteuid() == 0, reason="root may look anywhere")
def test_a_folder_that_may_not_be_looked_into_is_a_storage_error(tmp_path):
    locked = tmp_path / "locked"
    locked.mkdir(mode=0)
    for target in (locked, locked / "below"):
        with (
            pytest.raises(StorageError, match="Permission denied"),
            whole_directory(target, holds="card.json"),
        ):
            raise AssertionError("no work may begin")
    locked.chmod(0o700)


def test_a_lock_is_held_by_one_and_ends_with_its_process(tmp_path):
    path = tmp_path / "lock"
    with locked(path) as held, locked(path, wait=False) as second:
        assert held and not second
    with locked(path, wait=False) as held:
        assert held
    script = "import os, sys\nfrom pathlib import Path\nfrom linnet.files import locked\n"
    script += "with locked(Path(sys.argv[1])): os.kill(os.getpid(), 9)"
    assert subprocess.run([sys.executable, "-c", script, path]).returncode == -9
    with locked(path, wait=False) as held:
        assert held


WRITERS = {
    "write_text": 'from linnet.files import write_text; write_text(path, "x", private=True)',
    "a folder": """
from linnet.files import whole_directory
with whole_directory(path) as folder: (folder / "x").write_text("x")
""",
    "keys": 'from linnet.serve.middleware.keys import add_key; add_key(path, "a", ["predict"])',
    "a prediction log": "from linnet.monitor import Store; Store(str(path)).close()",
}


@pytest.mark.parametrize("writer", WRITERS)
def test_links_at_names_that_can_be_guessed_are_not_followed(tmp_path, writer):
    code = f"""
import os, sys
from pathlib import Path
path, precious = Path(sys.argv[1]), sys.argv[2]
for name in (f".{{path.name}}.{{os.getpid()}}.tmp", f".{{path.name}}.tmp", f"{{path.name}}.tmp",
             f"{{path.name}}-wal", f"{{path.name}}-shm", f"{{path.name}}-journal"):
    os.symlink(precious, path.with_name(name))
{WRITERS[writer]}
"""
    precious, shared = tmp_path / "precious", tmp_path / "shared"
    precious.write_text("precious\n")
    shared.mkdir()
    done = subprocess.run(
        [sys.executable, "-c", code, shared / "target", precious], capture_output=True, text=True
    )
    assert precious.read_text() == "precious\n", done.stderr
    if writer != "a prediction log":  # SQLite refuses such a link, which is as well
        assert done.returncode == 0, done.stderr
        assert not (shared / "target").is_symlink()


@pytest.mark.parametrize("plant", ["a link", "a pipe", "a folder"])
def test_a_lock_is_a_plain_file(tmp_path, plant):
    lock, precious = tmp_path / ".keys.json.lock", tmp_path / "precious"
    if plant == "a link":
        lock.symlink_to(precious)
    elif plant == "a pipe":
        os.mkfifo(lock)
    else:
        lock.mkdir()
    with pytest.raises(UsageError, match="symbolic link or no plain file"), locked(lock):
        pass
    assert not precious.exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder to somebody else")
def test_unfinished_work_of_somebody_else_in_a_shared_folder_is_refused(tmp_path):
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(0o1777)
    work = shared / "out.csv.unfinished"
    work.mkdir()
    os.chown(work, 65534, 65534)
    with (
        pytest.raises(UsageError, match="belongs to another user"),
        resume.locked(work, "is scoring into"),
    ):
        pass
    shared.chmod(0o755)  # who may write here is root alone, who put it here
    with resume.locked(work, "is scoring into"):
        assert (work / ".lock").is_file()


@pytest.mark.parametrize(
    ("umask", "mode"), [(0o022, 0o755), (0o077, 0o700), (0o027, 0o750), (0o002, 0o775)]
)
def test_a_folder_is_as_open_as_the_umask_says(tmp_path, umask, mode):
    before = os.umask(umask)
    try:
        with whole_directory(tmp_path / "deep" / "bundle") as folder:
            assert stat.S_IMODE(folder.stat().st_mode) == mode
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "deep" / "bundle").stat().st_mode) == mode
    assert stat.S_IMODE((tmp_path / "deep").stat().st_mode) == mode


def test_a_private_file_is_private_from_its_first_moment(tmp_path, monkeypatch):
    modes = []
    fsync = os.fsync

    def look(descriptor: int) -> None:
        modes.append(stat.S_IMODE(os.fstat(descriptor).st_mode))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", look)
    before = os.umask(0)
    try:
        write_text(tmp_path / "keys.json", "{}", private=True)
    finally:
        os.umask(before)
    assert modes[0] == 0o600
