"""Killed at any moment, `score` shows no half file, and the same call goes on to the bytes of an undisturbed run."""

import json
import os
import random
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

# A fresh process that has imported the package and started no thread, so that it can fork one child a trial.
# A child is killed from outside after a random time, or kills itself at one of its own file operations, for
# a random time alone would hardly ever meet the instants around the renaming.
SCRIPT = r"""
import hashlib, json, os, random, signal, sys, time
from pathlib import Path

import linnet.score
import linnet.score.parquet
from linnet.config import load_config

bundle, source, suffix, trials = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], int(sys.argv[4])
undisturbed, target = source.with_name("undisturbed" + suffix), source.with_name("target" + suffix)
config = load_config(overrides={"score.chunk_size": 16, "score.probabilities": True, "predict.num_threads": 1})
draw = random.Random(suffix)
EVENTS = {"open", "os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.truncate", "shutil.rmtree"}


def child(out, event=None, record=None):
    pid = os.fork()
    if pid:
        return pid
    seen = []

    def hook(name, arguments):
        # What is read before, such as the bundle, is no moment worth a trial.
        if name in EVENTS and (seen or ".unfinished" in str(arguments[0])):
            seen.append(name)
            if len(seen) - 1 == event:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(hook)
    try:
        done = linnet.score.score(config, bundle, source, out)
        if record:
            os.write(record, json.dumps([len(seen), done.resumed]).encode())
    except BaseException as error:
        print(repr(error), file=sys.stderr, flush=True)
        os._exit(1)
    os._exit(0)


def digest(path):
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.exists() else "none"


def killed(pid):
    status = os.waitpid(pid, 0)[1]
    assert os.WIFSIGNALED(status) or status == 0
    return os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL


reader, writer = os.pipe()
began = time.monotonic()
assert not killed(child(undisturbed, record=writer))
duration = time.monotonic() - began
events = json.loads(os.read(reader, 1000))[0]
whole = digest(undisturbed)
kills = 0
while kills < trials:
    kind = ("time", "event", "near")[kills % 3]
    if kind == "time":
        pid = child(target, record=writer)
        time.sleep(draw.uniform(0, duration))
        os.kill(pid, signal.SIGKILL)
    else:
        # Near: the last events, which are those around the renaming; they come sooner in a call that goes on.
        pid = child(target, event=draw.randrange(events) if kind == "event" else draw.randrange(3, 14), record=writer)
    died = killed(pid)
    kills += died
    state = {"none": "none", whole: "whole"}.get(digest(target), "torn")
    resumed = None if died else json.loads(os.read(reader, 1000))[1]
    print(json.dumps({"kind": kind, "killed": died, "state": state, "resumed": resumed}))
    if not died or (state == "whole" and draw.random() < 0.5):
        target.unlink()  # the next begins anew
assert not killed(child(target, record=writer))
left = sorted(path.name for path in target.parent.iterdir() if path not in (target, undisturbed, source))
print(json.dumps({"last": digest(target) == whole, "left": left}))
"""


def write_source(path: Path) -> Path:
    draw = random.Random(0)
    texts = [
        " ".join(
            draw.choices("good bad day film love hate rain sun".split(), k=draw.randint(1, 30))
        )
        for _ in range(300)
    ]
    texts[7] = ""
    texts[100] = "x" * 5000
    if path.suffix == ".parquet":
        pq.write_table(pa.table({"text": texts, "n": range(300)}), path)
    else:
        path.write_text("text,n\n" + "".join(f"{text},{n}\n" for n, text in enumerate(texts)))
    return path


@pytest.mark.skipif(not hasattr(os, "fork"), reason="only where a process can be forked")
@pytest.mark.parametrize("kills", [6, pytest.param(15, marks=pytest.mark.slow)])
@pytest.mark.parametrize(
    ("name", "suffix"), [("s.csv", ".csv"), ("s.csv", ".csv.gz"), ("s.parquet", ".parquet")]
)
def test_killed_anywhere_no_row_is_lost(
    bundle: Path, tmp_path: Path, name: str, suffix: str, kills: int
) -> None:
    source = write_source(tmp_path / name)
    environment = os.environ | {"OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}
    command = [sys.executable, "-c", SCRIPT, str(bundle), str(source), suffix, str(kills)]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=250, env=environment, cwd=tmp_path
    )
    assert (done.returncode, done.stderr) == (0, "")
    *trials, end = map(json.loads, done.stdout.splitlines())
    killed = [trial for trial in trials if trial["killed"]]
    assert len(killed) == kills
    assert [trial for trial in trials if trial["state"] == "torn"] == []
    assert {("time", "none"), ("event", "none"), ("near", "none")} <= set(
        Counter((trial["kind"], trial["state"]) for trial in killed)
    )
    assert end == {"last": True, "left": []}
