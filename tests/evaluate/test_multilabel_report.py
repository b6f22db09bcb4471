"""The whole stage on a multi-label bundle: the report follows from what the bundle answers."""

import json
import shutil

import numpy as np
import pytest
from sklearn.metrics import f1_score, hamming_loss

import linnet
from linnet.bundle import Bundle
from linnet.cli import evaluate as command
from linnet.data import Split, read_split
from linnet.errors import LabelError
from linnet.evaluate import evaluate
from linnet.evaluate.baselines import best_constant, one_vs_rest_logistic_regression


@pytest.fixture(scope="module")
def folder(tmp_path_factory, config, tone_bundle, tone_splits):
    directory = tmp_path_factory.mktemp("judged") / "report"
    evaluate(config, tone_bundle, tone_splits, directory)
    return directory


@pytest.fixture(scope="module")
def report(folder):
    return json.loads((folder / "report.json").read_text())


@pytest.fixture(scope="module")
def truth(tone_splits):
    return read_split(tone_splits, "test").labels


@pytest.fixture(scope="module")
def answers(tone_bundle, tone_splits):
    return linnet.load(tone_bundle).predict(read_split(tone_splits, "test").texts)


@pytest.fixture(scope="module")
def given(answers):
    return np.array(
        [[name in answer.labels for name in answer.probabilities] for answer in answers]
    )


def test_figures_are_those_of_the_bundles_own_answers(report, truth, given):
    assert report["micro_f1"]["value"] == pytest.approx(f1_score(truth, given, average="micro"))
    assert report["macro_f1"]["value"] == pytest.approx(f1_score(truth, given, average="macro"))
    assert report["accuracy"]["value"] == pytest.approx((truth == given).all(axis=1).mean())
    assert report["hamming_loss"]["value"] == pytest.approx(hamming_loss(truth, given))
    for k, item in enumerate(report["per_class"]):
        assert (item["support"], item["predicted"]) == (truth[:, k].sum(), given[:, k].sum())
        assert item["f1"]["value"] == pytest.approx(f1_score(truth[:, k], given[:, k]))
    assert report["micro_f1"]["value"] > 0.8


def test_the_report_names_thresholds_and_kind(report, tone_bundle):
    manifest = Bundle.read(tone_bundle).manifest
    assert report["model"]["problem_type"] == "multi_label_classification"
    assert report["model"]["thresholds"] == [item["threshold"] for item in report["per_class"]]
    assert report["model"]["thresholds"] == list(manifest.thresholds)


def test_every_interval_holds_its_figure(report):
    found = [
        report[key] for key in ("accuracy", "micro_f1", "macro_f1", "hamming_loss", "log_loss")
    ]
    found += [item[key] for item in report["per_class"] for key in ("precision", "recall", "f1")]
    found += [
        item[key] for item in report["baselines"] for key in ("accuracy", "micro_f1", "difference")
    ]
    found += [item["accuracy"] for item in report["by_label_count"]]
    assert len(found) > 15
    assert all(item["low"] <= item["value"] <= item["high"] for item in found)


def test_rows_are_counted_by_their_labels(report, truth, given):
    assert sum(item["rows"] for item in report["by_label_count"]) == len(truth)
    none = report["by_label_count"][0]
    rows = truth.sum(axis=1) == 0
    assert (none["labels"], none["rows"], none["micro_f1"]) == ("0", rows.sum(), None)
    assert none["accuracy"]["value"] == pytest.approx((~given[rows]).all(axis=1).mean())


def test_baselines_are_judged_on_the_same_rows(report, truth, tone_splits):
    constant, words = report["baselines"]
    assert constant["micro_f1"]["value"] < words["micro_f1"]["value"]
    assert words["micro_f1"]["value"] > 0.7  # the words that matter are easy to learn
    for item in report["baselines"]:
        gap = report["micro_f1"]["value"] - item["micro_f1"]["value"]
        assert item["difference"]["value"] == pytest.approx(gap)
    assert constant["difference"]["low"] > 0
    assert f"{100 * report['micro_f1']['value']:.1f} %" in report["verdict"]


def test_the_page_holds_every_label_and_no_text(folder, tone_splits):
    page = (folder / "report.html").read_text()
    assert all(label in page for label in ("praise", "blame", "weather", "film"))
    assert not any(text in page for text in read_split(tone_splits, "test").texts)
    assert "By number of labels" in page and "NaN" not in page and "None" not in page


def test_the_command_shows_it(report, folder, capsys):
    command.print_report(report, folder)
    shown = capsys.readouterr().out
    assert "micro-F1" in shown and f"{100 * report['micro_f1']['value']:.2f} %" in shown


def test_a_single_label_bundle_is_refused(
    config, bundle, tone_bundle, splits, tone_splits, tmp_path
):
    with pytest.raises(LabelError):
        evaluate(config, bundle, tone_splits, tmp_path / "report")
    with pytest.raises(LabelError):
        evaluate(config, tone_bundle, splits, tmp_path / "report")


def test_a_label_that_no_row_has(config, tone_bundle, tone_splits, tmp_path):
    import pyarrow as pa

    from linnet.data.split.files import SplitWriter

    rows = read_split(tone_splits, "test")
    chosen = np.flatnonzero(~rows.labels[:, 3])[:60]
    for name in ("train", "validation"):
        shutil.copy(tone_splits / f"{name}.parquet", tmp_path)
    with SplitWriter(
        tmp_path, "test", ["text", "label"], rows.label_names, True, rows.mask
    ) as writer:
        ids = [np.flatnonzero(row).tolist() for row in rows.labels[chosen]]
        writer.write(pa.table({"text": [rows.texts[i] for i in chosen], "label": ids}))
    report = evaluate(config, tone_bundle, tmp_path, tmp_path / "report")
    assert report["per_class"][3]["average_precision"] is None
    assert report["notes"] == []


def test_a_label_that_all_or_no_train_row_has() -> None:
    labels = np.array([[True, False, False], [True, False, True]] * 20)
    train = Split("train", ["bad day", "good day"] * 20, labels, ("a", "b", "c"), True)
    empty = Split("validation", [], np.zeros((0, 3), bool), ("a", "b", "c"), True)
    found = one_vs_rest_logistic_regression(train, empty, ["good good", "bad"])
    assert found.predictions.tolist() == [[True, False, True], [True, False, False]]
    assert best_constant(train, ["x"]).predictions.tolist() == [[True, False, True]]
