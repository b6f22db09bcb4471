"""A smaller model answers what it is sure of, where that is shown to cost little; else there is no cascade."""

import importlib.util
import json
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import linnet
from linnet.bundle import Bundle
from linnet.config import load_config
from linnet.errors import BundleError, LabelError, ProofError, UsageError
from linnet.export import export
from linnet.export.cascade import fit
from linnet.predict.explain import ASKED

TEXTS = ["what a good day", "bad bad bad", "it rains " * 60, "good"]


def make(checkpoint: Path, splits: Path, directory: Path, fast: Path, **overrides: Any) -> Bundle:
    given = {
        "model.max_length": 64,
        "run.name": "both",
        "export.variants": [],
        "export.max_accuracy_drop": 20.0,
    }
    config = load_config(overrides=given | {"export.cascade": str(fast)} | overrides)
    return export(config, checkpoint, splits, directory)


@pytest.fixture(scope="module")
def cascade(
    checkpoint: Path, splits: Path, bundle: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    directory = tmp_path_factory.mktemp("cascade") / "bundle"
    make(checkpoint, splits, directory, bundle)
    return directory


def test_the_cascade_is_a_bundle_like_any_other(cascade, bundle):
    found = Bundle.read(cascade).verify()
    settings, check = found.manifest.cascade, found.proof["checks"]["cascade"]
    assert (settings.name, settings.digest) == ("tiny", Bundle.read(bundle).digest)
    assert check["passed"] is True
    assert 0 < check["share"] <= 1
    assert (
        check["accuracy_drop"]["value"] == 0 < check["accuracy_drop"]["limit"] < 0.2
    )  # one model in both places
    assert check["speed_up"] > 0
    assert "tiny answers" in check["detail"]
    assert check["detail"] in (cascade / "README.md").read_text()


def test_the_smaller_model_answers_what_it_is_sure_of(cascade, bundle, tmp_path):
    threshold = Bundle.read(cascade).manifest.cascade.threshold
    texts = read_split_texts(cascade)
    alone, both = linnet.load(bundle), linnet.load(cascade)
    sure = alone.predict_proba(texts).max(axis=1) >= threshold
    answers = both.predict(texts)
    assert [answer.fast for answer in answers] == sure.tolist()
    assert [answer.label for answer in answers] == [answer.label for answer in alone.predict(texts)]
    assert np.allclose(both.predict_proba(texts).sum(axis=1), 1)
    assert both.predict([]) == []


def read_split_texts(cascade: Path) -> list[str]:
    return TEXTS * 5 + [f"good {number}" for number in range(20)]


def test_what_the_full_model_answers_is_as_it_would_be_alone(cascade, bundle, tmp_path):
    copy = tmp_path / "bundle"
    shutil.copytree(cascade, copy)
    classifier = linnet.load(copy)
    classifier.bundle.manifest.cascade.__dict__["threshold"] = 2.0  # never sure
    alone = linnet.load(bundle)
    assert not any(answer.fast for answer in classifier.predict(TEXTS))
    assert classifier.logits(TEXTS) == pytest.approx(alone.logits(TEXTS), abs=1e-5)
    assert [a.truncated for a in classifier.predict(TEXTS)] == [
        a.truncated for a in alone.predict(TEXTS)
    ]


def test_a_single_model_never_says_fast(bundle):
    assert not any(answer.fast for answer in linnet.load(bundle).predict(TEXTS))


def test_the_smaller_model_is_digested_too(cascade, tmp_path):
    copy = tmp_path / "bundle"
    shutil.copytree(cascade, copy)
    (copy / "fast.json").write_text((copy / "fast.json").read_text() + " ")
    with pytest.raises(BundleError, match=r"fast\.json was changed"):
        Bundle.read(copy).verify()


def test_a_manifest_must_list_the_smaller_model(cascade, tmp_path):
    copy = tmp_path / "bundle"
    shutil.copytree(cascade, copy)
    content = json.loads((copy / "manifest.json").read_text())
    content["cascade"]["threshold"] = 0
    (copy / "manifest.json").write_text(json.dumps(content))
    with pytest.raises(BundleError, match="threshold"):
        Bundle.read(copy)


def test_where_nothing_can_be_shown_there_is_no_bundle(checkpoint, splits, bundle, tmp_path):
    with pytest.raises(
        ProofError,
        match=r"don.t show of any text that leaving it to tiny costs less than 0\.001 points",
    ):
        make(checkpoint, splits, tmp_path / "out", bundle, **{"export.max_accuracy_drop": 0.001})
    assert not list(tmp_path.iterdir())


def test_a_cascade_of_cascades_is_refused(checkpoint, splits, cascade, tmp_path):
    with pytest.raises(UsageError, match="is a cascade itself"):
        make(checkpoint, splits, tmp_path / "out", cascade)


def test_a_precision_that_is_asked_for_is_refused(checkpoint, splits, bundle, tmp_path):
    with pytest.raises(UsageError, match=r"without export\.min_precision"):
        make(checkpoint, splits, tmp_path / "out", bundle, **{"export.min_precision": 0.9})


def test_other_labels_are_refused(checkpoint, splits, tone_bundle, tmp_path):
    with pytest.raises(LabelError, match="one label a text"):
        make(checkpoint, splits, tmp_path / "out", tone_bundle)


def test_no_such_bundle(checkpoint, splits, tmp_path):
    with pytest.raises(BundleError, match="No such bundle"):
        make(checkpoint, splits, tmp_path / "out", tmp_path / "nowhere")


def test_the_lowest_threshold_that_costs_little_enough_is_taken():
    rows = 10_000
    sure = np.linspace(1, 0.5, rows)
    full = np.ones(rows, bool)
    fast = np.arange(rows) < 6000  # right where it is surest
    fitted = fit(sure, fast, full, 0.02, 0.95)
    assert 0.60 <= fitted.share <= 0.62  # at most 2 points lost
    assert fitted.drop < fitted.limit < 0.02
    assert fitted.threshold == sure[round(fitted.share * rows) - 1]


def test_equal_probabilities_stay_together():
    sure = np.repeat([0.9, 0.6], 5000)
    right = np.repeat([True, False], 5000)
    fitted = fit(sure, right, np.ones(10_000, bool), 0.02, 0.95)
    assert (fitted.threshold, fitted.share) == (0.9, 0.5)


def test_few_rows_show_nothing():
    right = np.ones(50, bool)
    assert fit(np.linspace(1, 0.5, 50), right, right, 0.002, 0.95) is None


def test_a_threshold_that_costs_too_much_is_taken_no_more_often_than_stated():
    """The true drop grows with each text that is left to the smaller model, and reaches the margin at half of them."""
    draw = np.random.default_rng(0)
    rows, runs, margin = 1000, 400, 0.02
    wrong = 0
    for _ in range(runs):
        sure = np.sort(draw.uniform(0.5, 1, rows))[::-1]
        full = draw.random(rows) < 0.85
        # 4 points worse than the full one everywhere: left to it, half of the texts cost 2 points.
        worse = draw.random(rows) < 0.04 / 0.85
        fast = full & ~worse
        fitted = fit(sure, fast, full, margin, 0.95)
        wrong += fitted is not None and 0.04 * 2 * (1 - fitted.threshold) >= margin
    assert wrong / runs <= 0.07


@pytest.mark.parametrize("threshold", [0.0, 2.0])
def test_explaining_costs_at_most_twenty_answers_of_a_model(cascade, tmp_path, threshold):
    shutil.copytree(cascade, tmp_path / "bundle")
    classifier = linnet.load(tmp_path / "bundle")
    classifier.bundle.manifest.cascade.__dict__["threshold"] = threshold
    rows = Counter()
    for stage in (classifier.model._fast, classifier.model._full):
        inner = stage.logits
        stage.logits = lambda ids, stage=stage, inner=inner: (
            rows.update({stage: len(ids)}),
            inner(ids),
        )[1]
    classifier.explain(
        "good bad day film love hate the a is was not very so my i it this and rain sun " * 2
    )
    asked = classifier.model._full if threshold else classifier.model._fast
    assert rows[asked] == ASKED
    assert rows.total() == ASKED + bool(threshold)


@pytest.mark.slow
def test_the_benchmark_times_and_judges(cascade, bundle, splits, tmp_path, monkeypatch, capsys):
    benchmarks = Path(__file__).parents[2] / "benchmarks"
    monkeypatch.syspath_prepend(benchmarks)
    spec = importlib.util.spec_from_file_location("cascade_benchmark", benchmarks / "cascade.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    shutil.copytree(bundle, tmp_path / "alone")
    flags = ("--texts", "40", "--rounds", "2", "--budget", "0", "--splits", str(splits))
    places = (
        "--alone",
        str(tmp_path / "alone"),
        "--cascade",
        str(cascade),
        "--out",
        str(tmp_path / "cascade.json"),
    )
    module.main([*flags, *places])
    results = json.loads((tmp_path / "cascade.json").read_text())
    assert results["speed_up"] > 0 and 0 <= results["left_to_the_small_model"] <= 1
    exact, *others = results["accuracy"]
    assert exact["drop"]["value"] == 0 and [each["model"] for each in others] == [
        "alone",
        "cascade",
    ]
    assert "times as fast" in capsys.readouterr().out


def test_the_model_that_answered_is_explained(cascade):
    classifier = linnet.load(cascade)
    for answer, text in zip(classifier.predict(TEXTS), TEXTS, strict=True):
        found = classifier.explain(text)
        assert (found.label, found.probability) == (
            answer.label,
            pytest.approx(answer.probability, abs=1e-5),
        )
