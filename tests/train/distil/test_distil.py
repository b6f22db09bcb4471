"""A student learns what a bundle answers, from texts that nobody labelled, and from none that it is judged on."""

import json
import math
import os
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from torch.nn.functional import cross_entropy, log_softmax, logsigmoid

from linnet.config import load_config
from linnet.data import read_split
from linnet.errors import (
    BundleError,
    DataError,
    LabelError,
    MissingExtraError,
    ProofError,
    StoppedError,
    UsageError,
)
from linnet.export import export
from linnet.predict import load, sigmoid, softmax, task_of
from linnet.predict.classifier import Classifier
from linnet.resume import locked, unfinished_path
from linnet.train import distil, train
from linnet.train.distil import teacher_logits as answers
from linnet.train.distil.distillation import DistillationObjective, DistillationSet
from linnet.train.distil.teachers import Teachers
from linnet.train.distributed import Group
from linnet.train.encoder.find import find_encoder, load_classifier
from linnet.train.network.batches import batch, encode
from linnet.train.network.network import Padded

# As in test_resume.py, but killed at any of its file operations, so that many a kill meets the teacher's answers.
SCRIPT = r"""
import json, os, random, signal, sys
from functools import partial
from pathlib import Path

import torch
from forks import fork_until_done

from linnet.config import load_config
from linnet.train.distil import teacher_logits as answers
from linnet.train import distil

torch.set_num_threads(1)
answers.TEXTS_AT_ONCE = 64
here, splits, overrides, parts = *map(Path, sys.argv[1:3]), json.loads(sys.argv[3]), int(sys.argv[4])
teachers = list(map(Path, sys.argv[5:]))
draw, killed = random.Random(1), {"asking the first": 0, "asking the second": 0, "learning": 0}
EVENTS = {"open", "os.mkdir", "os.rename", "os.remove", "os.rmdir", "shutil.rmtree", "ctypes.dlsym"}


def child(at_event):
    seen = 0

    def hook(name, arguments):
        nonlocal seen
        if name in EVENTS and str(here) in str(arguments):
            seen += 1
            if seen == at_event:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(hook)
    distil(load_config(overrides=overrides), teachers, splits, here / "student")


def count():
    answered = len(list(here.glob("student.unfinished/teacher/*.npz")))
    asking = "asking the first" if answered < parts else "asking the second"
    killed["learning" if list(here.glob("student.unfinished/state-*")) else asking] += 1


def at_event():
    return draw.randint(1, 40 if killed["asking the second"] < 3 else 250)


fork_until_done(lambda: partial(child, at_event()), count)
print(json.dumps(killed))
"""


@pytest.fixture(scope="module")
def other(encoder, splits, tmp_path_factory):
    """A bundle as `bundle` is, of another seed."""
    directory = tmp_path_factory.mktemp("other")
    settings = {"model.name_or_path": str(encoder), "model.max_length": 64, "run.name": "other"}
    config = load_config(
        overrides=settings
        | {"train.learning_rate": 2e-2, "train.num_train_epochs": 2, "train.seed": 7}
    )
    train(config, splits, directory / "checkpoint")
    export(config, directory / "checkpoint", splits, directory / "bundle")
    return directory / "bundle"


@pytest.fixture
def overrides(encoder):
    """Of a student that is the tiny encoder again."""
    names = {"model.name_or_path": str(encoder), "model.max_length": 64, "predict.num_threads": 1}
    return names | {"train.learning_rate": 2e-2, "train.num_train_epochs": 2}


@pytest.fixture
def student(overrides):
    def resolve(**more):
        return load_config(
            overrides=overrides | {key.replace("__", "."): value for key, value in more.items()}
        )

    return resolve


def test_a_student_is_a_checkpoint_like_any_other(bundle, splits, unlabelled, student, tmp_path):
    record = distil(student(distil__texts=str(unlabelled)), [bundle], splits, tmp_path / "student")
    recorded = record["distil"]
    assert json.loads((tmp_path / "student" / "training.json").read_text()) == record
    assert [entry.name for entry in tmp_path.iterdir()] == ["student"]
    made = export(
        load_config(overrides={"model.max_length": 64}),
        tmp_path / "student",
        splits,
        tmp_path / "bundle",
    )
    assert made.manifest.lineage["distil"] == recorded
    assert "It is a student of `tiny`" in (tmp_path / "bundle" / "README.md").read_text()
    validation = read_split(splits, "validation")
    teacher, pupil = (
        load(path).predict_proba(validation.texts).argmax(1)
        for path in (bundle, tmp_path / "bundle")
    )
    assert recorded["agreement"]["value"] == pytest.approx((teacher == pupil).mean())
    assert 0.7 < recorded["agreement"]["low"] < recorded["agreement"]["value"]
    assert recorded["teacher_scores"]["eval_accuracy"] == pytest.approx(
        (teacher == validation.labels).mean()
    )
    assert recorded["teacher_digests"] == [load(bundle).digest]
    assert recorded["source"]["dropped"] == {
        "duplicate": 0,
        "like_a_test_text": 0,
        "like_a_validation_text": 0,
    }
    assert recorded["source"]["rows_in"] == recorded["source"]["rows_used"] == 500
    assert (
        record["rows"]["train"]
        == sum(recorded["rows"].values())
        == len(read_split(splits, "train")) + 500
    )


def test_several_teachers_teach_the_mean_of_what_they_serve(
    bundle, other, splits, unlabelled, student, tmp_path
):
    validation, learnt, task = read_split(splits, "validation"), [], DistillationSet.objective
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            DistillationSet,
            "objective",
            lambda self, *rest: (learnt.append(self.split), task(self, *rest))[1],
        )
        recorded = distil(
            student(distil__texts=str(unlabelled)), [bundle, other], splits, tmp_path / "student"
        )["distil"]
    teachers = [load(bundle), load(other)]
    mean = np.mean([teacher.predict_proba(learnt[0].texts) for teacher in teachers], axis=0)
    np.testing.assert_allclose(learnt[0].labels, mean, atol=1e-6)
    assert [teacher["name"] for teacher in recorded["teachers"]] == ["tiny", "other"]
    assert recorded["teacher_digests"] == [teacher.digest for teacher in teachers]
    together = np.mean([teacher.predict_proba(validation.texts) for teacher in teachers], axis=0)
    right = (together.argmax(1) == validation.labels).mean()
    assert recorded["teacher_scores"]["eval_accuracy"] == pytest.approx(right)
    nll = -np.log(together[np.arange(len(validation)), validation.labels]).mean()
    assert recorded["teacher_scores"]["eval_loss"] == pytest.approx(nll, abs=1e-5)
    export(
        load_config(overrides={"model.max_length": 64}),
        tmp_path / "student",
        splits,
        tmp_path / "made",
    )
    card = (tmp_path / "made" / "README.md").read_text()
    assert (
        f"It is a student of `tiny` ({teachers[0].digest}), `other` ({teachers[1].digest})" in card
    )


def test_what_tells_is_left_out_of_the_files_texts_alone(
    bundle, splits, unlabelled, student, tmp_path
):
    learnt, task = [], DistillationSet.objective
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            DistillationSet,
            "objective",
            lambda self, *rest: (learnt.append(self), task(self, *rest))[1],
        )
        config = student(
            distil__texts=str(unlabelled), distil__leave_out=0.5, distil__temperature=5.0
        )
        recorded = distil(config, [bundle], splits, tmp_path / "student")["distil"]
    known, others, teacher = (
        read_split(splits, "train").texts,
        unlabelled.read_text().splitlines(),
        load(bundle),
    )
    assert learnt[0].texts == [*known, *others]  # of which a vocabulary would be learnt
    texts = learnt[0].split.texts
    assert texts == learnt[0].read
    assert texts[: len(known)] == known
    changed = [new != old for new, old in zip(texts[len(known) :], others, strict=True)]
    assert 0.2 < np.mean(changed) < 0.6
    assert recorded["left_out"]["texts"] == sum(changed) <= recorded["left_out"]["words"]
    assert recorded["left_out"]["telling_words"] > 0
    logits = teacher.logits([*known, *others])  # to what the teacher read
    answers = softmax(logits / teacher.bundle.manifest.temperature / 5.0)
    np.testing.assert_allclose(learnt[0].split.labels, answers, atol=1e-6)


def test_words_left_out_of_no_file_are_refused(bundle, splits, student, tmp_path):
    with pytest.raises(
        UsageError, match=r"distil\.leave_out is 0\.5, but no file of texts is named"
    ):
        distil(student(distil__leave_out=0.5), [bundle], splits, tmp_path / "student")
    assert not (tmp_path / "student.unfinished").exists()


def test_another_student_for_the_same_place_waits(bundle, splits, student, asked, tmp_path):
    waits = pytest.raises(UsageError, match="Another process lets teachers answer into")
    with locked(unfinished_path(tmp_path / "student") / "teacher", "is"), waits:
        distil(student(), [bundle], splits, tmp_path / "student")
    assert asked == []


def test_answers_are_not_kept_where_they_would_be_lost(bundle, splits, student, asked, tmp_path):
    lost = student(distil__answers=str(tmp_path / "student" / "answers"))
    with pytest.raises(UsageError, match="The answers would be lost"):
        distil(lost, [bundle], splits, tmp_path / "student")
    assert asked == []


def test_without_tensorboard_it_is_said_before_the_teacher_is_asked(
    bundle, splits, student, asked, monkeypatch, tmp_path
):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(MissingExtraError):
        distil(student(train__report_to="tensorboard"), [bundle], splits, tmp_path / "student")
    assert asked == []


@pytest.mark.parametrize(
    ("engine", "variant"), [("openvino", "fp32"), ("onnxruntime", "int8-dynamic")]
)
def test_answers_in_other_arithmetic_are_others(bundle, engine, variant):
    teacher = load(bundle)
    assert (teacher.plan.engine, teacher.plan.variant) == ("onnxruntime", "fp32")
    other = SimpleNamespace(
        digest=teacher.digest, plan=replace(teacher.plan, engine=engine, variant=variant)
    )
    assert answers._digest(other, ["a text"]) != answers._digest(teacher, ["a text"])


def test_a_teacher_named_twice_or_none_is_refused(bundle, splits, student, tmp_path):
    shutil.copytree(bundle, tmp_path / "again")
    with pytest.raises(
        UsageError, match=r"The teachers .* and .*again are one bundle\. Name each once"
    ):
        distil(student(), [bundle, tmp_path / "again"], splits, tmp_path / "student")
    with pytest.raises(UsageError, match="No teacher is named"):
        distil(student(), [], splits, tmp_path / "student")
    assert not (tmp_path / "student.unfinished").exists()


@given(
    logits=arrays(np.float32, (4, 5, 4), elements=st.floats(-60, 60, width=32)),
    temperatures=st.tuples(*[st.floats(0.2, 5)] * 4),
    own=arrays(np.float64, (5, 4), elements=st.floats(0, 1)),
    count=st.integers(1, 4),
)
@pytest.mark.parametrize("several", [False, True])
def test_of_several_teachers_it_is_the_mean(several, logits, temperatures, own, count):
    def teacher(temperature, threshold):
        manifest = SimpleNamespace(temperature=temperature)
        task = task_of(several)
        decide = partial(task.decide, thresholds=[threshold] * 4)
        return SimpleNamespace(task=task, bundle=SimpleNamespace(manifest=manifest), decide=decide)

    logits, thresholds = logits[:count], [0.3, 0.5, 0.7, 0.9][:count]
    teachers = Teachers([teacher(*pair) for pair in zip(temperatures, thresholds)])  # noqa: B905, only so many
    answer = sigmoid if several else softmax
    for temperature in (1.0, 2.0):
        scaled = [
            part.astype(np.float64) / own / temperature
            for part, own in zip(logits, temperatures, strict=False)
        ]
        mean = np.mean([answer(part) for part in scaled], axis=0)
        np.testing.assert_allclose(answer(teachers.logits(logits, temperature)), mean, atol=1e-9)
    mean = answer(teachers.logits(logits))
    same = teachers.agree(logits, own)
    if several:
        least = sorted(thresholds)[(count + 1) // 2 - 1]  # which half of them are at most
        np.testing.assert_array_equal(same, (mean >= least) == (own >= least))
        assert teachers.agree(logits, mean).all()
    else:
        clear = (
            np.diff(np.sort(mean, axis=1)[:, -2:], axis=1)[:, 0] > 1e-9
        )  # probabilities tie before logits do
        np.testing.assert_array_equal(same[clear], (mean.argmax(1) == own.argmax(1))[clear])
        assert teachers.agree(logits, mean)[clear].all()


def test_without_a_file_the_train_texts_are_learnt_without_their_labels(
    bundle, splits, student, tmp_path
):
    shutil.copytree(splits, tmp_path / "splits")
    truth = distil(student(), [bundle], tmp_path / "splits", tmp_path / "one")
    assert truth["distil"]["source"] == {}
    train_split = tmp_path / "splits" / "train.parquet"
    shutil.copy(train_split, tmp_path / "kept.parquet")
    _flip_labels(train_split)
    distil(student(), [bundle], tmp_path / "splits", tmp_path / "two")
    weights = [(tmp_path / name / "model.safetensors").read_bytes() for name in ("one", "two")]
    assert weights[0] == weights[1]
    recorded = distil(student(distil__alpha=1.0), [bundle], tmp_path / "splits", tmp_path / "three")
    assert recorded["history"][-1]["eval_accuracy"] < 0.5 < truth["history"][-1]["eval_accuracy"]


def _flip_labels(path):
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pq.read_table(path)
    flipped = pa.array(1 - table["label"].to_numpy())
    pq.write_table(
        table.set_column(table.column_names.index("label"), table.schema.field("label"), flipped),
        path,
    )


def test_learnt_from_labels_alone_it_is_training(bundle, splits, student, tmp_path):
    taught = distil(
        student(distil__alpha=1.0, distil__temperature=3.0), [bundle], splits, tmp_path / "one"
    )
    plain = train(student(), splits, tmp_path / "two")
    for one, two in zip(taught["history"], plain["history"], strict=True):
        assert one["train_loss"] == pytest.approx(two["train_loss"], abs=1e-3)
        assert one["eval_loss"] == pytest.approx(two["eval_loss"], abs=5e-3)


def still(encoder, labels, tokenizer, multi_label):
    """The encoder as a network that drops nothing."""
    rates = {"dropout": 0.0, "attention_dropout": 0.0}
    torch.manual_seed(0)
    model = load_classifier(find_encoder(str(encoder)), labels, tokenizer, multi_label, rates)
    model.config.seq_classif_dropout = model.dropout.p = 0.0
    return Padded(model, torch.float32, tokenizer.pad_id)


@pytest.mark.parametrize("temperature", [1.0, 2.5])
@pytest.mark.parametrize("alpha", [0.0, 0.3])
@pytest.mark.parametrize("several", [False, True])
def test_the_loss_is_the_papers(
    encoder, bundle, tone_bundle, splits, tone_splits, student, temperature, alpha, several
):
    teacher = load(tone_bundle if several else bundle)
    known = read_split(tone_splits if several else splits, "train")
    tokenizer = find_encoder(str(encoder)).tokenizer(64)
    texts = known.texts[:40]
    labelled = type(known)(
        "train", texts[:24], known.labels[:24], known.label_names, known.multi_label, known.mask
    )
    config = student(
        distil__temperature=temperature, distil__alpha=alpha, train__label_smoothing_factor=0.1
    )
    logits = teacher.logits(texts)
    distillation = DistillationSet(
        Teachers([teacher]), config.distil, labelled, texts, texts, [logits], [logits], {}
    )
    encoded = encode(distillation.split, tokenizer)
    network = still(encoder, known.label_names, tokenizer, several)
    task = distillation.objective(network, config.train, encode(known, tokenizer), None)
    assert isinstance(task, DistillationObjective)
    rows = np.array([30, 3, 39, 17, 25, 0])
    part = batch(encoded, rows, torch.device("cpu"))
    loss = task.loss(part)

    ours = network(part, False).detach().double()
    taught = (
        torch.from_numpy(logits[rows]).double() / teacher.bundle.manifest.temperature / temperature
    )
    if several:
        goal, half = taught.sigmoid(), ours / temperature
        soft = -(goal * logsigmoid(half) + (1 - goal) * logsigmoid(-half)).mean(1)
        right = torch.from_numpy(known.labels[rows]).double()
        hard = -(right * logsigmoid(ours) + (1 - right) * logsigmoid(-ours)).mean(1)
    else:
        soft = -(taught.softmax(1) * log_softmax(ours / temperature, 1)).sum(1)
        right = torch.from_numpy(known.labels[rows])
        hard = cross_entropy(ours, right, reduction="none", label_smoothing=0.1)
    share = torch.tensor([alpha if row < 24 else 0.0 for row in rows])
    expected = ((1 - share) * temperature**2 * soft + share * hard).sum()
    assert loss.item() == pytest.approx(expected.item(), rel=1e-5)
    apart = batch(encoded, np.array([30, 39]), torch.device("cpu"))
    task.loss(apart).backward()  # of a batch without a known label
    assert all(torch.isfinite(buffer.grad).all() for buffer in network.weights.buffers)


def test_several_labels_a_text_are_learnt_too_and_masked(
    tone_bundle, tone_splits, unlabelled_tones, tmp_path
):
    recipe = {
        "learning_rate": 1e-3,
        "num_train_epochs": 8,
        "early_stopping_patience": 8,
        "metric_for_best_model": "eval_f1",
    }
    config = load_config(
        overrides={
            "model.name_or_path": "scratch",
            "model.max_length": 64,
            "distil.texts": str(unlabelled_tones),
        }
        | {f"train.{key}": value for key, value in recipe.items()}
    )
    record = distil(config, [tone_bundle], tone_splits, tmp_path / "student")
    assert record["problem_type"] == "multi_label_classification"
    assert record["mask"] == ["email", "handle"]
    assert record["distil"]["agreement"]["value"] > 0.9
    assert record["history"][record["best_epoch"] - 1]["eval_f1"] > 0.8
    words = json.loads((tmp_path / "student" / "tokenizer.json").read_text())["model"]["vocab"]
    assert "email" in words  # of "<email>"
    assert "org" not in words


def test_no_text_like_a_held_out_one_is_learnt(bundle, splits, student, tmp_path, monkeypatch):
    held = {name: read_split(splits, name).texts for name in ("validation", "test")}
    lines = [
        *held["validation"],
        *(f"@you {text.upper()}!! https://t.co/x" for text in held["test"]),
        "quite another",
    ]
    (tmp_path / "texts.txt").write_text("\n".join(lines))
    learnt, task = [], DistillationSet.objective
    monkeypatch.setattr(
        DistillationSet,
        "objective",
        lambda self, *rest: (learnt.extend(self.texts), task(self, *rest))[1],
    )
    record = distil(
        student(distil__texts=str(tmp_path / "texts.txt")), [bundle], splits, tmp_path / "student"
    )
    source = record["distil"]["source"]
    assert source["dropped"]["like_a_validation_text"] == len(held["validation"])
    assert source["dropped"]["like_a_test_text"] == len(held["test"])
    assert source["rows_used"] == 1
    assert learnt == [*read_split(splits, "train").texts, "quite another"]


HOSTILE = [
    "",
    "\ud800",
    "a\0b",
    "w" * 1_000_000,
    "&amp;" * 50 + "lt;",
    "\u200b",
    "&" + "amp;lt" * 9,
    "𝕳" * 300,
    7,
    None,
    ["a"],
]


def test_hostile_texts_are_counted_or_learnt(bundle, splits, student, tmp_path):
    file = tmp_path / "texts.jsonl"
    file.write_text("".join(json.dumps({"text": value}) + "\n" for value in HOSTILE) + "\n")
    record = distil(student(distil__texts=str(file)), [bundle], splits, tmp_path / "student")
    source = record["distil"]["source"]
    assert (
        source["rows_in"]
        == len(HOSTILE) + 1
        == source["rows_used"] + sum(source["dropped"].values())
    )
    reasons = {reason: count for reason, count in source["dropped"].items() if count}
    assert reasons == {
        "blank_line": 1,
        "empty_text": 2,
        "lone_surrogate": 1,
        "not_text": 3,
        "nul_byte": 1,
    }
    assert record["rows"]["train"] == len(read_split(splits, "train")) + source["rows_used"]


@pytest.mark.parametrize("content", ["", "\n\n", "   \n\u200b\n"])
def test_a_file_without_a_text_is_refused(bundle, splits, student, tmp_path, content):
    (tmp_path / "texts.txt").write_text(content, encoding="utf-8")
    with pytest.raises(
        DataError,
        match=r"is empty: 0 bytes|has no text to learn from. None of its 2 rows is left",
    ):
        distil(
            student(distil__texts=str(tmp_path / "texts.txt")),
            [bundle],
            splits,
            tmp_path / "student",
        )
    assert not (tmp_path / "student.unfinished").exists()


def test_a_teacher_of_other_labels_or_another_kind_is_refused(
    bundle, tone_bundle, splits, tone_splits, student, write_splits, tmp_path
):
    names = {name: ["positive", "negative"] for name in ("train", "validation", "test")}
    turned = write_splits(
        tmp_path / "turned", names, {name: [("a", 0), ("b", 1)] for name in names}
    )
    with pytest.raises(
        LabelError, match=r"are positive, negative; those of the teacher .* are negative, positive"
    ):
        distil(student(), [bundle], turned, tmp_path / "student")
    with pytest.raises(LabelError, match="Expected the same in the same order"):
        distil(student(), [tone_bundle], splits, tmp_path / "student")
    unnamed = write_splits(
        tmp_path / "unnamed",
        {name: ["negative", "positive"] for name in names},
        {name: [("a", 0), ("b", 7 if name == "train" else 1)] for name in names},
    )
    with pytest.raises(LabelError, match="Row 1 of the train split has the label 7"):
        distil(student(distil__alpha=0.5), [bundle], unnamed, tmp_path / "student")
    single = {name: ["praise", "blame", "weather", "film"] for name in names}
    flat = write_splits(tmp_path / "flat", single, {name: [("a", 0), ("b", 1)] for name in names})
    with pytest.raises(
        LabelError,
        match=r"has one label per text, but the teacher .* gives several labels per text",
    ):
        distil(student(), [tone_bundle], flat, tmp_path / "student")
    assert not (tmp_path / "student.unfinished").exists()


def test_a_teacher_that_masks_other_data_is_refused(tone_bundle, tone_splits, student, tmp_path):
    import pyarrow.parquet as pq

    shutil.copytree(tone_splits, tmp_path / "splits")
    for path in (tmp_path / "splits").glob("*.parquet"):
        table = pq.read_table(path)
        content = json.loads(table.schema.metadata[b"linnet"]) | {"mask": []}
        pq.write_table(table.replace_schema_metadata({b"linnet": json.dumps(content)}), path)
    with pytest.raises(
        DataError, match=r"nothing is masked, but the teacher .* masks email, handle"
    ):
        distil(student(), [tone_bundle], tmp_path / "splits", tmp_path / "student")


def test_a_broken_teacher_is_refused(bundle, checkpoint, splits, student, tmp_path):
    with pytest.raises(BundleError, match=r"is not a bundle: it holds no manifest\.json"):
        distil(student(), [checkpoint], splits, tmp_path / "student")
    shutil.copytree(bundle, tmp_path / "changed")
    with (tmp_path / "changed" / "model.onnx").open("ab") as file:
        file.write(b"!")
    with pytest.raises(BundleError, match="was changed since it was written"):
        distil(student(), [tmp_path / "changed"], splits, tmp_path / "student")
    assert not (tmp_path / "student.unfinished").exists()


@pytest.mark.slow  # make test kills a training, which resumes in the same way
def test_killed_at_random_it_gives_the_bytes_of_an_undisturbed_run(
    bundle, other, splits, unlabelled, overrides, tmp_path
):
    overrides |= {"distil.texts": str(unlabelled), "distil.alpha": 0.5, "distil.leave_out": 0.5}
    overrides |= {"train.save_steps": 10, "train.dropout": 0.1}
    record = distil(load_config(overrides=overrides), [bundle, other], splits, tmp_path / "calm")
    (tmp_path / "killed").mkdir()
    parts = sum(
        math.ceil(rows / 64) for rows in record["rows"].values()
    )  # that each teacher answers
    recorded = [tmp_path / "killed", splits, json.dumps(overrides), str(parts), bundle, other]
    command = [sys.executable, "-c", SCRIPT, *recorded]
    environment = os.environ | {
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": str(Path(__file__).parents[1]),
    }
    done = subprocess.run(command, capture_output=True, text=True, timeout=250, env=environment)
    assert done.returncode == 0, done.stderr
    assert min(json.loads(done.stdout).values()) >= 1, done.stdout
    assert [entry.name for entry in (tmp_path / "killed").iterdir()] == ["student"]
    for name in ("model.safetensors", "config.json", "tokenizer.json"):
        assert (tmp_path / "killed" / "student" / name).read_bytes() == (
            tmp_path / "calm" / name
        ).read_bytes()
    again = json.loads((tmp_path / "killed" / "student" / "training.json").read_text())
    assert again["history"] == record["history"]
    assert again["distil"] == record["distil"]


@pytest.fixture
def asked(monkeypatch):
    """How many texts the teacher was asked each time, in parts of 64."""
    monkeypatch.setattr(answers, "TEXTS_AT_ONCE", 64)
    sizes, logits = [], Classifier.logits
    monkeypatch.setattr(
        Classifier, "logits", lambda self, texts: (sizes.append(len(texts)), logits(self, texts))[1]
    )
    return sizes


def test_asked_to_stop_it_keeps_what_was_answered(
    bundle, splits, unlabelled, student, asked, monkeypatch, tmp_path
):
    config, write = student(distil__texts=str(unlabelled)), answers._write

    def stop(*arguments):
        write(*arguments)
        if len(asked) == 3:
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(answers, "_write", stop)
    with pytest.raises(
        StoppedError, match=r"are saved in .*student\.unfinished/teacher\. The same command resumes"
    ):
        distil(config, [bundle], splits, tmp_path / "student")
    assert len(asked) == 3
    distil(config, [bundle], splits, tmp_path / "student")
    texts = len(read_split(splits, "train")) + 500 + len(read_split(splits, "validation"))
    assert sum(asked) == texts


def test_answers_that_are_kept_teach_another_student(bundle, splits, student, asked, tmp_path):
    kept = str(tmp_path / "answers")
    first = distil(student(distil__answers=kept), [bundle], splits, tmp_path / "one")
    assert len(asked) == len(list((tmp_path / "answers").iterdir())) > 2
    files = sorted((tmp_path / "answers").iterdir())
    files[0].write_bytes(files[0].read_bytes()[:-50])
    files[1].write_bytes(b"")
    content = bytearray(files[2].read_bytes())
    content[200] ^= 1
    files[2].write_bytes(content)
    asked.clear()
    again = distil(student(distil__answers=kept), [bundle], splits, tmp_path / "two")
    assert len(asked) == 3  # the damaged ones
    assert again["distil"] == first["distil"]
    assert again["history"] == first["history"]
    asked.clear()
    warm = distil(
        student(distil__answers=kept, distil__temperature=4.0), [bundle], splits, tmp_path / "three"
    )
    assert asked == []
    assert warm["history"] != first["history"]


def test_another_lesson_is_another_run(bundle, splits, student, monkeypatch, tmp_path):
    from linnet.train.loop import Loop

    step = Loop._step

    def stop(self, rows):
        if self.state.step == 4:
            signal.raise_signal(signal.SIGINT)
        return step(self, rows)

    monkeypatch.setattr(Loop, "_step", stop)
    with pytest.raises(StoppedError, match=r"Stopped after step 5"):
        distil(student(), [bundle], splits, tmp_path / "student")
    with pytest.raises(
        UsageError, match=r"another one:\n  distil\.temperature  was 1\.0, is now 2\.0"
    ):
        distil(student(distil__temperature=2.0), [bundle], splits, tmp_path / "student")
    with pytest.raises(UsageError, match=r"distil\.alpha  was 0\.0, is now None"):
        train(student(), splits, tmp_path / "student")


def test_processes_share_the_asking(bundle, splits, asked, tmp_path):
    """One after the other here, so that the first reads what the second has yet to write."""

    class Turn(Group):
        def wait(self):
            if self.first:
                ask(Turn(1, 2))

    teacher, texts = load(bundle), read_split(splits, "train").texts
    stopped = type("Never", (), {"is_set": staticmethod(lambda: False)})()

    def ask(group):
        return answers.ask(teacher, texts, tmp_path / "answers", stopped, group)

    found = ask(Turn(0, 2))
    assert len(asked) == -(-len(texts) // 64)
    asked.clear()
    np.testing.assert_allclose(found, teacher.logits(texts), atol=1e-5)


def test_the_students_probabilities_are_those_that_the_teacher_serves(
    tone_bundle, bundle, splits, tone_splits, student
):
    for path, folder, answer in ((bundle, splits, softmax), (tone_bundle, tone_splits, sigmoid)):
        teacher, known = load(path), read_split(folder, "train")
        logits = teacher.logits(known.texts)
        config = student(distil__temperature=1.0).distil
        distillation = DistillationSet(
            Teachers([teacher]), config, known, known.texts, known.texts, [logits], [logits], {}
        )
        np.testing.assert_allclose(
            distillation.split.labels, teacher.predict_proba(known.texts), atol=1e-6
        )
        softer = DistillationSet(
            Teachers([teacher]),
            config.model_copy(update={"temperature": 5.0}),
            known,
            known.texts,
            known.texts,
            [logits],
            [logits],
            {},
        )
        expected = answer(logits / teacher.bundle.manifest.temperature / 5.0)
        np.testing.assert_allclose(softer.split.labels, expected, atol=1e-6)


def test_a_failed_proof_is_refused(bundle, splits, student, tmp_path):
    from linnet.bundle import write_manifest

    shutil.copytree(bundle, tmp_path / "failed")
    proof = json.loads((tmp_path / "failed" / "proof.json").read_text())
    proof["checks"]["parity"]["passed"] = False
    (tmp_path / "failed" / "proof.json").write_text(json.dumps(proof))
    manifest = json.loads((tmp_path / "failed" / "manifest.json").read_text())
    fields = {
        key: value for key, value in manifest.items() if key not in ("format", "files", "digest")
    }
    write_manifest(tmp_path / "failed", **fields)
    with pytest.raises(ProofError, match="the check 'parity' failed"):
        distil(student(), [tmp_path / "failed"], splits, tmp_path / "student")


def test_a_folder_that_cannot_be_is_refused(bundle, splits, student, write_splits, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match=r"No folder can be made at .*file/answers"):
        distil(
            student(distil__answers=str(tmp_path / "file" / "answers")),
            [bundle],
            splits,
            tmp_path / "student",
        )
    names = {name: ["negative", "positive"] for name in ("train", "validation", "test")}
    empty = write_splits(
        tmp_path / "empty", names, {"train": [("a", 0)], "validation": [], "test": []}
    )
    with pytest.raises(DataError, match="The validation split holds no rows"):
        distil(student(), [bundle], empty, tmp_path / "student")
