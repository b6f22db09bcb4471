"""Killed at any moment, `prepare` leaves the old splits or the new ones, byte for byte, and the next run tidies up."""

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

# A fresh process that has imported the package and started no thread, so that it can fork one child a trial.
# A child is killed from outside after a random time, or kills itself at one of its own file operations, for
# a random time alone would hardly ever meet the instants around the renaming.
SCRIPT = r"""
import hashlib, json, os, random, re, shutil, signal, sys, time
from pathlib import Path

import linnet.data
from linnet.config import load_config
from linnet.data.audit import language

language._identifier()  # unpacked once, not by every child

here, source, trials = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
target = here / "splits"
draw = random.Random(0)
SWAP = "ctypes.dlsym"  # the call that swaps two folders is looked up right before it is made
EVENTS = {"open", "os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.chmod", "shutil.rmtree", SWAP}


def digest():
    # The moment it was made stands in the card, and nothing else differs between two runs of one seed.
    if not target.exists():
        return "none"
    found = hashlib.sha256()
    for path in sorted(target.iterdir()):
        content = re.sub(rb"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00", b"", path.read_bytes())
        found.update(path.name.encode() + hashlib.sha256(content).digest())
    return found.hexdigest()


def child(seed, event=None, start=None, record=None):
    pid = os.fork()
    if pid:
        return pid
    seen = []

    def hook(name, arguments):
        if name in EVENTS and (seen or start in (None, name)):
            seen.append(name)
            if len(seen) - 1 == event:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(hook)
    try:
        settings = {"data.source": source, "data.seed": seed, "data.noise_sample": 0, "data.keep_splits": False}
        settings |= {"data.validation_size": 31, "data.test_size": 31}
        linnet.data.prepare(load_config(None, settings), target)
        if record:
            os.write(record, json.dumps(seen).encode())
    except BaseException as error:
        print(repr(error), file=sys.stderr, flush=True)
        os._exit(1)
    os._exit(0)


def finish(seed):
    assert os.waitpid(child(seed), 0)[1] == 0
    return digest()


def leftovers():
    return [path.name for path in here.iterdir() if path not in (target, Path(source))]


whole = {}
for seed in (1, 2):
    whole[seed] = finish(seed)
    assert finish(seed) == whole[seed], "two runs of one seed differ in more than their time"
assert whole[1] != whole[2]

reader, writer = os.pipe()
began = time.monotonic()
os.waitpid(child(1, record=writer), 0)
duration = time.monotonic() - began
events = json.loads(os.read(reader, 1 << 20))
assert events.count(SWAP) == 1
near = len(events) - events.index(SWAP)

for trial in range(trials):
    if trial % 10 == 9:
        shutil.rmtree(target, ignore_errors=True)
    elif not target.exists():
        finish(1)
    old, kind = digest(), ("time", "event", "near")[trial % 3]
    seed = 2 if old == whole[1] else 1
    if kind == "time":
        pid = child(seed)
        time.sleep(draw.uniform(0, 1.1 * duration))
        os.kill(pid, signal.SIGKILL)
    else:
        close = kind == "near" and old != "none"
        event = trial // 3 % near if close else draw.randrange(len(events))
        pid = child(seed, event=event, start=SWAP if close else None)
    status = os.waitpid(pid, 0)[1]
    now = digest()
    state = "old" if now == old else "new" if now == whole[seed] else "torn"
    killed = os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
    left = len(leftovers())
    print(json.dumps({"kind": kind, "state": state, "killed": killed, "left": left, "first": old == "none"}))
last = finish(1)
print(json.dumps({"last": last == whole[1], "left": leftovers()}))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="only where a process can be forked")
@pytest.mark.parametrize("kills", [10, pytest.param(50, marks=pytest.mark.slow)])
def test_killed_anywhere_the_splits_are_the_old_or_the_new(tmp_path: Path, kills: int) -> None:
    source = tmp_path / "shards"
    source.mkdir()
    # With more than thirty classes the card leaves out a plot, which would take half of the time.
    for shard in range(2):
        rows = [f"text {number},{number % 31}\n" for number in range(93 * shard, 93 * shard + 93)]
        (source / f"part-{shard}.csv").write_text("text,label\n" + "".join(rows))
    environment = os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    command = [sys.executable, "-c", SCRIPT, str(tmp_path), str(source), str(kills)]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=250, env=environment, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    *trials, end = map(json.loads, done.stdout.splitlines())
    assert len(trials) == kills
    assert [trial for trial in trials if trial["state"] == "torn"] == []
    check_that_kills_met_every_phase(trials)
    assert (
        max(trial["left"] for trial in trials) == 1
    )  # each run takes away what the one before it left
    assert (end["last"], end["left"]) == (True, [])


def check_that_kills_met_every_phase(trials: list[dict[str, Any]]) -> None:
    killed = [trial for trial in trials if trial["killed"]]
    assert len(killed) > 0.6 * len(trials)
    met = Counter((trial["kind"], trial["state"]) for trial in killed)
    assert {("time", "old"), ("event", "old"), ("near", "old"), ("near", "new")} <= set(met), met
    assert sum(trial["first"] for trial in killed) >= len(trials) // 16
