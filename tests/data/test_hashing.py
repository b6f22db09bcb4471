"""The process beside gives the very hashes that would be made here, and its end is told."""

import os
import random
import signal
from dataclasses import astuple
from pathlib import Path

import numpy as np
import pytest

from linnet.config import load_config
from linnet.data import prepare
from linnet.data.group.hashing import Helper, hash_texts
from linnet.errors import StorageError

TEXTS = [
    "a",
    "ünïcode :) #x",
    "\U0001f600" * 40,
    "أهلا بالعالم",
    "x" * 500_000,
    "the same words again and again",
    "@me http://a.b",
]


def arrays(hashes):
    rank, text, normal, sketches = astuple(hashes)
    return [rank, text, normal, *sketches]


def test_the_process_gives_the_same_hashes():
    helper = Helper(7)
    try:
        for texts in (TEXTS, TEXTS[:1], [f"text {number}" for number in range(5000)]):
            for here, there in zip(
                arrays(hash_texts(texts, 7)), arrays(helper.hash_texts(texts)), strict=True
            ):
                assert here.dtype == there.dtype
                assert np.array_equal(here, there)
    finally:
        helper.stop()


def test_a_process_that_dies_is_a_sentence():
    helper = Helper(1)
    helper.hash_texts(["a"])
    os.kill(helper._process.pid, signal.SIGKILL)
    with pytest.raises(StorageError, match=r"has ended \(exit -9\)\. Most likely memory ran out"):
        helper.hash_texts(["b"] * 100_000)
    helper.stop()


def test_it_ends_when_nobody_asks_any_more():
    helper = Helper(1)
    assert helper._process.stdin
    helper._process.stdin.close()
    assert helper._process.wait(timeout=60) == 0
    helper._process.stdout.close()  # type: ignore[union-attr]


def test_splits_are_the_same_with_and_without(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    draw = random.Random(0)
    rows = [
        f"{' '.join(draw.choices('abcdefgh', k=6))} {place % 900},{place % 2}"
        for place in range(3000)
    ]
    (tmp_path / "rows.csv").write_text("text,label\n" + "\n".join(rows))
    config = load_config(None, {"data.source": str(tmp_path / "rows.csv"), "data.noise_sample": 0})
    prepare(config, tmp_path / "here")
    monkeypatch.setattr("linnet.data.clean.collect.ROWS_WORTH_A_PROCESS", 0)
    monkeypatch.setattr("linnet.data.clean.collect.CHUNK_ROWS", 500)
    started: list[Helper] = []
    monkeypatch.setattr(
        "linnet.data.clean.collect.Helper", lambda seed: started.append(Helper(seed)) or started[-1]
    )
    monkeypatch.setattr("linnet.data.clean.collect.available_cores", lambda: 2)
    prepare(config, tmp_path / "there")
    assert len(started) == 1
    assert started[0]._process.poll() is not None
    for name in ("train", "validation", "test"):
        assert (tmp_path / "here" / f"{name}.parquet").read_bytes() == (
            tmp_path / "there" / f"{name}.parquet"
        ).read_bytes()
