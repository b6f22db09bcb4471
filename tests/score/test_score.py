"""The whole command: row for row what the classifier says, packed and piped, gone on with, refused."""

import csv
import fcntl
import gzip
import io
import json
import lzma
import os
import re
import subprocess
import sys
import zipfile
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import asdict
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import linnet
from linnet.bundle import Bundle, write_manifest
from linnet.cli.main import main
from linnet.config import Config, load_config
from linnet.data import read_split
from linnet.errors import BundleError, DataError, StorageError, UsageError
from linnet.score import Scored, score
from linnet.score import chunks as parts_module
from linnet.score.chunks import chunks
from linnet.score.delimited import Delimited
from linnet.score.parquet import Parquet
from linnet.tables.table import RawRow

LINNET = [sys.executable, "-m", "linnet.cli.main"]


@pytest.fixture
def config() -> Config:
    return load_config(overrides={"score.chunk_size": 50})


@pytest.fixture(scope="module")
def texts(splits: Path) -> list[str]:
    return [*read_split(splits, "validation").texts[:60], "good " * 100, ""]


@pytest.fixture
def source(texts: list[str], tmp_path: Path) -> Path:
    path = tmp_path / "rows.csv"
    with path.open("w", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows(
            [("text", "n"), *((text, n) for n, text in enumerate(texts))]
        )
    return path


def resealed(bundle: Path, folder: Path, **changes: object) -> Path:
    import shutil

    shutil.copytree(bundle, folder)
    fields = Bundle.read(folder).manifest.model_dump(
        mode="json", exclude={"format", "files", "digest"}
    )
    write_manifest(folder, **(fields | changes))
    return folder


def test_row_for_row(
    config: Config, bundle: Path, source: Path, texts: list[str], tmp_path: Path
) -> None:
    done = score(config, bundle, source, tmp_path / "out.csv")
    assert done == Scored(len(texts), len(texts) - 1, 1, 0, 0, {"empty_text": 1}, 0)
    with (tmp_path / "out.csv").open(newline="") as file:
        _, *found = csv.reader(file)
    assert [row[:2] for row in found] == [[text, str(n)] for n, text in enumerate(texts)]
    answers = linnet.load(bundle).predict(texts[:-1])
    assert [row[2] for row in found[:-1]] == [answer.label for answer in answers]
    for row, answer in zip(found, answers, strict=False):
        assert float(row[3]) == pytest.approx(answer.probability, abs=1e-5)
    assert found[-1][2:] == ["", "", "", "empty_text"]


def test_a_model_that_abstains(
    config: Config, bundle: Path, source: Path, texts: list[str], tmp_path: Path
) -> None:
    folder = resealed(bundle, tmp_path / "strict", min_precision=0.9, thresholds=[0.9, 0.9])
    done = score(config, folder, source, tmp_path / "out.csv")
    with (tmp_path / "out.csv").open(newline="") as file:
        header, *found = csv.reader(file)
    assert header[2:] == ["predicted_label", "probability", "abstained", "truncated", "reason"]
    for row in found[:-1]:
        assert (row[2] == "") == (row[4] == "true") == (float(row[3]) < 0.9)
    assert 0 < done.abstained == sum(row[4] == "true" for row in found) < len(texts) - 1
    assert done.unlabelled == 0


PACK = {".gz": gzip.compress, ".xz": lzma.compress, "": bytes}
UNPACK = {".gz": gzip.decompress, ".xz": lzma.decompress, "": bytes}


@pytest.mark.parametrize("into", UNPACK)
@pytest.mark.parametrize("out_of", PACK)
def test_packed(
    config: Config, bundle: Path, source: Path, tmp_path: Path, out_of: str, into: str
) -> None:
    score(config, bundle, source, tmp_path / "plain.csv")
    packed = tmp_path / f"packed.csv{out_of}"
    packed.write_bytes(PACK[out_of](source.read_bytes()))
    score(config, bundle, packed, tmp_path / f"out.csv{into}")
    assert (
        UNPACK[into]((tmp_path / f"out.csv{into}").read_bytes())
        == (tmp_path / "plain.csv").read_bytes()
    )


def test_a_zip(config: Config, bundle: Path, source: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "rows.zip", "w") as archive:
        archive.write(source, "rows.csv")
    assert score(config, bundle, tmp_path / "rows.zip", tmp_path / "out.csv").rows == 62


def test_a_damaged_packed_file(config: Config, bundle: Path, source: Path, tmp_path: Path) -> None:
    packed = gzip.compress(os.urandom(300_000).hex().encode().replace(b"a", b"\n"))
    (tmp_path / "cut.csv.gz").write_bytes(packed[: len(packed) // 2])
    with pytest.raises(DataError, match="is cut or damaged"):
        score(
            load_config(overrides={"score.text_column": "0"}),
            bundle,
            tmp_path / "cut.csv.gz",
            tmp_path / "out.csv",
        )
    assert not (tmp_path / "out.csv").exists()


class StopError(Exception):
    pass


@pytest.fixture
def stopped(
    config: Config, bundle: Path, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """A target whose file is half done."""
    from linnet.score import job

    answer = job.answer
    calls = []

    def stop(*arguments: object) -> list:
        calls.append(1)
        if len(calls) == 2:
            raise StopError
        return answer(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(job, "answer", stop)
        with pytest.raises(StopError):
            score(config, bundle, source, tmp_path / "out.csv")
    assert (tmp_path / "out.csv.unfinished").is_dir()
    assert not (tmp_path / "out.csv").exists()
    return tmp_path / "out.csv"


def test_going_on(
    config: Config, bundle: Path, source: Path, stopped: Path, tmp_path: Path
) -> None:
    done = score(config, bundle, source, stopped)
    assert (done.resumed, done.rows) == (50, 62)
    undisturbed = score(config, bundle, source, tmp_path / "whole.csv")
    assert stopped.read_bytes() == (tmp_path / "whole.csv").read_bytes()
    assert undisturbed == Scored(done.rows, done.scored, done.truncated, 0, 0, done.reasons, 0)
    assert not stopped.with_name("out.csv.unfinished").exists()


def test_the_same_file_elsewhere_is_the_same(
    config: Config, bundle: Path, source: Path, stopped: Path
) -> None:
    assert (
        score(config, bundle, source.rename(source.with_name("moved.csv")), stopped).resumed == 50
    )


@pytest.mark.parametrize(
    "other", ["bundle", "file", "score.probabilities", "plan.max_batch_tokens"]
)
def test_other_work_is_refused(
    config: Config, bundle: Path, source: Path, stopped: Path, tmp_path: Path, other: str
) -> None:
    if other == "bundle":
        bundle = resealed(bundle, tmp_path / "other", name="other")
    elif other == "file":
        source.write_bytes(source.read_bytes() + b"one more,63\n")
    else:
        value = True if other == "score.probabilities" else 100
        config = load_config(
            overrides={"score.chunk_size": 50, other.replace("plan", "predict"): value}
        )
    state = (tmp_path / "out.csv.unfinished" / "state.json").read_bytes()
    with pytest.raises(
        UsageError,
        match=rf"(?s)not finished, and it is another one:\n  {other}  was .*--overwrite",
    ):
        score(config, bundle, source, stopped)
    assert (tmp_path / "out.csv.unfinished" / "state.json").read_bytes() == state
    assert score(config, bundle, source, stopped, overwrite=True).resumed == 0


@pytest.mark.parametrize("damage", ["cut", "garbage", "list"])
def test_damaged_work_is_refused(
    config: Config, bundle: Path, source: Path, stopped: Path, damage: str
) -> None:
    folder = stopped.with_name("out.csv.unfinished")
    if damage == "cut":
        (folder / "rows").write_bytes((folder / "rows").read_bytes()[:-1])
    else:
        (folder / "state.json").write_text({"garbage": "{", "list": "[]"}[damage])
    with pytest.raises(
        UsageError, match=r"is damaged: state\.json and rows do not match.* --overwrite"
    ):
        score(config, bundle, source, stopped)
    assert score(config, bundle, source, stopped, overwrite=True).rows == 62


def test_two_at_once(config: Config, bundle: Path, source: Path, stopped: Path) -> None:
    with (stopped.with_name("out.csv.unfinished") / ".lock").open("ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(UsageError, match="Another process is scoring into"):
            score(config, bundle, source, stopped)


def test_a_kill_after_the_last_step(
    config: Config, bundle: Path, source: Path, stopped: Path
) -> None:
    folder = stopped.with_name("out.csv.unfinished")
    whole = score(config, bundle, source, stopped)
    content = stopped.read_bytes()
    stopped.unlink()
    (folder).mkdir()
    identity = {"identity": _identity(config, bundle, source), "end": 1, "bytes": len(content)}
    counts = {
        "rows": 62,
        "scored": 61,
        "truncated": 1,
        "abstained": 0,
        "unlabelled": 0,
        "unscored empty_text": 1,
    }
    (folder / "state.json").write_text(json.dumps(identity | {"counts": counts}))
    stopped.write_bytes(content)
    assert score(config, bundle, source, stopped).reasons == whole.reasons
    assert stopped.read_bytes() == content
    assert not folder.exists()


def _identity(config: Config, bundle: Path, source: Path) -> dict[str, object]:
    from linnet.files import digest

    return {
        "linnet": linnet.__version__,
        "bundle": Bundle.read(bundle).digest,
        "file": digest(source),
        "format": "csv",
        "compression": "",
        "score": config.score.model_dump(mode="json"),
        "plan": asdict(linnet.load(bundle).plan),
    }


def test_a_file_that_changes_meanwhile(
    config: Config, bundle: Path, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from linnet.score import job

    answer = job.answer

    def change(*arguments: object) -> list:
        source.write_bytes(source.read_bytes() + b"x,1\n")
        return answer(*arguments)

    monkeypatch.setattr(job, "answer", change)
    with pytest.raises(DataError, match="changed while it was scored"):
        score(config, bundle, source, tmp_path / "out.csv")
    assert not (tmp_path / "out.csv").exists()


def test_a_lost_row_is_a_defect(
    config: Config, bundle: Path, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    line = Delimited.line

    def lose(self: Delimited, row: RawRow, values: list) -> bytes:
        return b"" if row.body.endswith(b",7") else line(self, row, values)

    monkeypatch.setattr(Delimited, "line", lose)
    with pytest.raises(AssertionError, match="62 rows were read and 61 written"):
        score(config, bundle, source, tmp_path / "out.csv")
    assert not (tmp_path / "out.csv").exists()


def test_a_full_disk_costs_nothing(
    config: Config, bundle: Path, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import errno

    (tmp_path / "out.csv").write_text("before")
    calls = []

    def full(descriptor: int) -> None:
        calls.append(descriptor)
        if len(calls) == 7:
            raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(StorageError, match=r"Could not write .*rows: No space left"):
            score(config, bundle, source, tmp_path / "out.csv")
    assert (tmp_path / "out.csv").read_text() == "before"
    assert score(config, bundle, source, tmp_path / "out.csv").rows == 62


def test_pipes(bundle: Path, source: Path, tmp_path: Path) -> None:
    score(load_config(), bundle, source, tmp_path / "out.csv")
    command = [*LINNET, "score", str(bundle), "-", "--format", "csv"]
    done = subprocess.run(command, input=source.read_bytes(), capture_output=True)
    assert done.returncode == 0
    assert done.stdout == (tmp_path / "out.csv").read_bytes()
    assert (
        done.stderr
        == b"62 rows in, 62 rows out: 61 scored (1 truncated).\nNot scored: 1 (1 empty_text).\n"
    )
    command = [*LINNET, "score", str(bundle), "-"]
    done = subprocess.run(command, input=b"good sun\nbad rain", capture_output=True)
    assert [line.partition(b",0")[0] for line in done.stdout.splitlines()[1:]] == [
        b"good sun,positive",
        b"bad rain,negative",
    ]


def test_standard_input_is_begun_anew(bundle: Path, tmp_path: Path) -> None:
    command = [
        *LINNET,
        "score",
        str(bundle),
        "-",
        "--out",
        str(tmp_path / "out.csv"),
        "--set",
        "score.chunk_size=1",
    ]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        process.stdin.write(b"good\nbad\n")
        process.stdin.flush()
        state = tmp_path / "out.csv.unfinished" / "state.json"
        while not (state.exists() and json.loads(state.read_text())["counts"].get("rows")):
            assert process.poll() is None
        process.kill()
    done = subprocess.run(command, input=b"sun\n", capture_output=True)
    assert done.returncode == 0, done.stderr
    assert [row[0] for row in csv.reader(io.StringIO((tmp_path / "out.csv").read_text()))] == [
        "text",
        "sun",
    ]


def test_a_reader_that_goes(bundle: Path) -> None:
    command = f"yes good | head -n 30000 | {' '.join(LINNET)} score {bundle} - --set score.chunk_size=500 | head -n 2"
    done = subprocess.run(command, shell=True, capture_output=True, text=True)
    assert (done.stdout.count("\n"), done.stderr) == (2, "")


def test_no_row_scored_is_an_error(
    bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "rows.csv").write_text("id,text\n1,\n2,\n")
    arguments = [
        "score",
        str(bundle),
        str(tmp_path / "rows.csv"),
        "--out",
        str(tmp_path / "out.csv"),
    ]
    assert main(arguments) == 3
    assert "None of the 2 rows could be scored" in capsys.readouterr().err
    assert (tmp_path / "out.csv").read_text().count("empty_text") == 2
    assert main([*arguments, "--text-column", "id"]) == 0
    assert capsys.readouterr().err.splitlines()[-1] == "Not scored: 0."


@pytest.mark.parametrize(
    ("path", "out", "settings", "message"),
    [
        ("rows.csv", "out.jsonl", {}, r"ends in \.csv, plain or followed by \.gz or \.xz"),
        ("rows.csv", "rows.csv", {}, "is the file that is scored"),
        ("rows.csv", "folder.csv", {}, "is a folder"),
        ("rows.csv", "rows.csv/out.csv", {}, "No folder can be made"),
        ("rows.csv", "-", {"format": "parquet"}, "become a Parquet file"),
        ("-", "out.parquet", {"format": "parquet"}, "can't come by standard input"),
        ("rows.dat", "out.csv", {}, "could not be recognised"),
        ("missing.csv", "out.csv", {}, "does not exist"),
        ("folder.csv", "out.csv", {}, "is a folder, .*for file in "),
    ],
)
def test_names_that_are_refused(
    bundle: Path,
    source: Path,
    tmp_path: Path,
    path: str,
    out: str,
    settings: dict[str, str],
    message: str,
) -> None:
    (tmp_path / "folder.csv").mkdir()
    (tmp_path / "rows.dat").write_text("text\ngood\n")
    config = load_config(overrides={f"score.{key}": value for key, value in settings.items()})
    before = sorted(tmp_path.rglob("*"))
    where = [Path(name) if name == "-" else tmp_path / name for name in (path, out)]
    with pytest.raises((UsageError, DataError), match=message):
        score(config, bundle, *where)
    assert sorted(tmp_path.rglob("*")) == before


def test_a_mistake_leaves_nothing_behind(config: Config, bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text(
        '{"text": "good"}\n' * 1000 + '{"text": "good", "reason": 1}\n'
    )
    with pytest.raises(UsageError, match="already has a column 'reason'"):
        score(load_config(), bundle, tmp_path / "a.jsonl", tmp_path / "out.jsonl")
    assert not (tmp_path / "out.jsonl").exists()


def test_parts_are_bounded_and_the_same_from_anywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts_module, "CHUNK_BYTES", 100)
    lines = [b"x" * (number * 7 % 90) for number in range(200)]
    every = [RawRow(line, place + 1) for place, line in enumerate(lines)]
    found = list(chunks(iter(every), 10))
    assert [row for part in found for row in part.rows] == every
    assert all(len(part.rows) <= 10 for part in found)
    assert all(sum(len(row.raw) for row in part.rows[:-1]) < 100 for part in found)
    assert [part.end for part in chunks(iter(every[found[3].end :]), 10)] == [
        part.end for part in found[4:]
    ]


MEMORY = """
import re, sys
from pathlib import Path
from linnet.config import load_config
from linnet.score import score
score(load_config(overrides={"predict.num_threads": 1}), *map(Path, sys.argv[1:]))
print(re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1])
"""


@pytest.mark.slow
@pytest.mark.skipif(
    not Path("/proc/self/status").exists(),
    reason="only where Linux tells how much memory was taken",
)
def test_memory_does_not_grow_with_the_file(bundle: Path, tmp_path: Path) -> None:
    used = {}
    for times in (1, 10):
        path = tmp_path / f"{times}.csv"
        path.write_text(
            "text,n\n"
            + "".join(f"a good day and {n} bad ones,{n}\n" for n in range(20_000 * times))
        )
        command = [
            sys.executable,
            "-c",
            MEMORY,
            str(bundle),
            str(path),
            str(tmp_path / f"out{times}.csv"),
        ]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        used[times] = int(re.findall(r"\d+", done.stdout)[-1])
    assert used[10] < 1.1 * used[1], used


def test_a_full_disk_at_the_end_of_parquet(
    config: Config,
    bundle: Path,
    tmp_path: Path,
    files_of_at_most: Callable[[int], AbstractContextManager[None]],
) -> None:
    source = tmp_path / "in.parquet"
    target = tmp_path / "out.parquet"
    pq.write_table(pa.table({"text": [f"good day {number}" for number in range(500)]}), source)
    target.write_bytes(b"before")
    finish = Parquet.finish

    def full(self: Parquet, rows: Path, place: Path) -> Path:
        with files_of_at_most(1000):
            return finish(self, rows, place)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Parquet, "finish", full)
        with pytest.raises(StorageError, match=r"Could not write .*out\.parquet: File too large"):
            score(config, bundle, source, target)
    assert target.read_bytes() == b"before"
    assert score(config, bundle, source, target).resumed == 500
    assert pq.read_table(target).num_rows == 500


@pytest.mark.skipif(
    not Path("/dev/full").exists(), reason="only where there is a disk that is always full"
)
def test_a_standard_output_that_is_full(bundle: Path, source: Path) -> None:
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [*LINNET, "score", str(bundle), str(source)], stdout=full, stderr=subprocess.PIPE
        )
        assert done.returncode == 7
        assert (
            done.stderr.count(b"\n") == 1
            and b"the standard output: No space left on device" in done.stderr
        )
        done = subprocess.run([*LINNET, "--version"], stdout=full, stderr=subprocess.PIPE)
        assert (done.returncode, done.stderr.count(b"\n")) == (7, 1)


def test_the_engine_is_as_asked_for(bundle: Path, source: Path, tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="holds no variant 'int9'"):
        score(
            load_config(overrides={"predict.variant": "int9"}), bundle, source, tmp_path / "out.csv"
        )
