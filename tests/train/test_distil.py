"""A student learns what a bundle answers, from texts that nobody labelled, and from none that it is judged on."""

import csv
import json
import os
import shutil
import signal
import subprocess
import sys

import numpy as np
import pytest
import torch
from torch.nn.functional import binary_cross_entropy, cross_entropy, kl_div, log_softmax

from linnet.config import load_config
from linnet.data import read_split
from linnet.errors import BundleError, DataError, LabelError, ProofError, StoppedError
from linnet.export import export
from linnet.predict import load
from linnet.train import distil
from linnet.train import answers as answers_module
from linnet.train.answers import ask
from linnet.train.processes import Group
from tests.conftest import make_rows, make_tones


@pytest.fixture
def student(encoder):
    """Settings of a student, which is the tiny encoder again."""

    def resolve(**more):
        names = {"model.name_or_path": str(encoder), "model.max_length": 64, "train.learning_rate": 2e-2}
        recipe = {"train.num_train_epochs": 2, "predict.num_threads": 1}
        return load_config(overrides=names | recipe | {key.replace("__", "."): value for key, value in more.items()})

    return resolve


@pytest.fixture(scope="module")
def unlabelled(tmp_path_factory):
    """500 other texts, one a line."""
    file = tmp_path_factory.mktemp("unlabelled") / "texts.txt"
    file.write_text("\n".join(text for text, _ in make_rows(500, seed=9)), encoding="utf-8")
    return file


def test_a_student_is_a_checkpoint_like_any_other(bundle, splits, unlabelled, student, tmp_path):
    record = distil(student(distil__texts=str(unlabelled)), bundle, splits, tmp_path / "student")
    told = record["distil"]
    assert json.loads((tmp_path / "student" / "training.json").read_text()) == record
    assert [entry.name for entry in tmp_path.iterdir()] == ["student"]
    made = export(load_config(overrides={"model.max_length": 64}), tmp_path / "student", splits, tmp_path / "bundle")
    assert made.manifest.lineage["distil"] == told
    assert "taught by `tiny`" in (tmp_path / "bundle" / "README.md").read_text()
    texts = read_split(splits, "validation").texts
    teacher, pupil = load(bundle), load(tmp_path / "bundle")
    same = (teacher.predict_proba(texts).argmax(1) == pupil.predict_proba(texts).argmax(1)).mean()
    assert told["agreement"]["value"] == pytest.approx(same)
    assert told["agreement"]["low"] < same > 0.9
    assert told["teacher"] == teacher.digest
    assert record["rows"]["train"] == sum(told["rows"].values()) == len(read_split(splits, "train")) + 500
