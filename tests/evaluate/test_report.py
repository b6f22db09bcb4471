"""The whole stage on a real bundle: what the report says has to follow from what the bundle answers."""

import json
import re
import shutil
from html import unescape
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

import linnet
from linnet.bundle import Bundle, write_manifest
from linnet.cli import evaluate as command
from linnet.config import load_config
from linnet.data import read_split
from linnet.errors import BundleError, DataError
from linnet.evaluate import evaluate
from linnet.tables.parquet import METADATA

HISTORY = [
    {"epoch": 1, "train_loss": 0.6, "eval_loss": 0.5, "eval_accuracy": 0.8},
    {"epoch": 2, "train_loss": 0.4, "eval_loss": 0.45, "eval_accuracy": 0.82},
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory, config, bundle, splits):
    directory = tmp_path_factory.mktemp("judged") / "report"
    evaluate(config, bundle, splits, directory)
    return directory


@pytest.fixture(scope="module")
def report(folder):
    return json.loads((folder / "report.json").read_text())


def test_the_folder_holds_the_report_that_is_returned(tmp_path, config, bundle, splits):
    returned = evaluate(config, bundle, splits, tmp_path / "report")
    assert sorted(path.name for path in (tmp_path / "report").iterdir()) == [
        "metrics.json",
        "report.html",
        "report.json",
        "report.md",
    ]
    assert json.loads((tmp_path / "report" / "report.json").read_text()) == json.loads(
        json.dumps(returned)
    )


def test_figures_are_those_of_the_bundles_own_answers(report, bundle, splits):
    split = read_split(splits, "test")
    classifier = linnet.load(bundle)
    answers = classifier.predict(split.texts)
    right = [
        answer.label == split.label_names[label]
        for answer, label in zip(answers, split.labels, strict=True)
    ]
    assert report["rows"] == report["rows_in_split"] == len(split) == 240
    assert report["accuracy"]["value"] == pytest.approx(np.mean(right))
    assert np.trace(report["confusion_matrix"]) == sum(right)
    assert np.sum(report["confusion_matrix"]) == 240
    losses = [
        -np.log(answer.probabilities[split.label_names[k]])
        for answer, k in zip(answers, split.labels, strict=True)
    ]
    assert report["log_loss"]["value"] == pytest.approx(np.mean(losses))
    cut = sum(answer.truncated for answer in answers)
    assert 0 < cut < 240
    assert report["truncated"] == {"rows": cut, "share": cut / 240}
    assert report["model"] == {
        "name": "words",
        "digest": Bundle.read(bundle).digest,
        "labels": list(split.label_names),
        "temperature": 1.0,
    }
    assert report["selective"] is None
    assert report["unknown"] == {"share": 0.0, "rows": 0}
    assert report["train_rows"] == read_split(splits, "train").label_counts


def test_every_interval_holds_its_figure(report):
    found = [report["accuracy"], report["macro_f1"], report["log_loss"]]
    found += [item[key] for item in report["per_class"] for key in ("precision", "recall", "f1")]
    found += [item[key] for item in report["baselines"] for key in ("accuracy", "difference")]
    found += [item["accuracy"] for item in report["calibration"]["bins"]]
    assert len(found) > 15
    assert all(item["low"] <= item["value"] <= item["high"] for item in found)


def test_baselines_are_judged_on_the_same_rows(report, splits):
    train, test = read_split(splits, "train"), read_split(splits, "test")
    majority, words = report["baselines"]
    commonest = np.bincount(train.labels).argmax()
    assert majority["accuracy"]["value"] == pytest.approx((test.labels == commonest).mean())
    assert words["accuracy"]["value"] > 0.75  # the words that matter are easy to learn
    for item in (majority, words):
        gap = report["accuracy"]["value"] - item["accuracy"]["value"]
        assert item["difference"]["value"] == pytest.approx(gap)
    assert majority["mcnemar_p"] < 1e-6


def test_latency_says_on_what_it_was_measured(report):
    latency = report["latency"]
    assert 0 < latency["median_ms"] <= latency["p95_ms"]
    assert latency["texts"] == 240
    assert latency["texts_per_second"] > 0
    assert latency["num_threads"] == 1
    assert latency["cpu"]


def test_lineage_and_settings_are_recorded(report, config):
    assert report["settings"] == json.loads(json.dumps(config.model_dump(mode="json")))
    assert report["lineage"]["packages"]["linnet-text"] == linnet.__version__
    assert report["history"] is None


def test_no_text_of_the_data_stands_in_the_report(folder, splits):
    pages = [(folder / name).read_text() for name in ("report.json", "report.html")]
    texts = read_split(splits, "test").texts
    assert not [text for text in texts for page in pages if text in page]


def test_the_page_reaches_no_other_host_and_holds_the_plots(folder):
    page = (folder / "report.html").read_text()
    addresses = re.findall(r"""(?:src|href|action|data)=["']([^"']*)""", page) + re.findall(
        r"url\(([^)]*)\)", page
    )
    assert all(address.startswith(("#", "data:image/png;base64,")) for address in addresses)
    assert page.count("<svg ") == 4
    assert "<script" not in page


def test_the_pages_drawing_of_training_needs_a_history(tmp_path, config, make_bundle, splits):
    report = evaluate(
        config, make_bundle(lineage={"history": HISTORY}), splits, tmp_path / "report"
    )
    assert report["history"] == HISTORY
    assert (tmp_path / "report" / "report.html").read_text().count("<svg ") == 5


def test_two_runs_agree_but_for_times(tmp_path, config, bundle, splits, report):
    again = evaluate(config, bundle, splits, tmp_path / "report")
    timeless = ("accuracy", "macro_f1", "log_loss", "per_class", "calibration", "confusion_matrix")
    assert {key: again[key] for key in timeless} == {key: report[key] for key in timeless}


def test_a_model_that_beats_the_baseline_is_said_to(tmp_path, bundle, splits):
    # 30 rows teach the bag of words little.
    few = tmp_path / "few"
    few.mkdir()
    for name in ("validation", "test"):
        (few / f"{name}.parquet").write_bytes((splits / f"{name}.parquet").read_bytes())
    pq.write_table(pq.read_table(splits / "train.parquet").slice(0, 30), few / "train.parquet")
    config = load_config(overrides={"evaluate.bootstrap_resamples": 100})
    report = evaluate(config, bundle, few, tmp_path / "report")
    assert report["beats_baseline"] is True
    assert "beats TF-IDF + logistic regression" in report["verdict"]


def test_a_model_that_loses_to_the_baseline_is_said_to(tmp_path, config, make_bundle, splits):
    report = evaluate(config, make_bundle(strength=-1.0), splits, tmp_path / "report")
    assert report["beats_baseline"] is False
    assert "WORSE" in report["verdict"]
    page = (tmp_path / "report" / "report.html").read_text()
    assert report["verdict"] in page.replace("&#39;", "'").replace("\u00a0", " ")


def test_why_it_loses_is_said_in_the_report_the_terminal_and_on_the_page(
    tmp_path, config, make_bundle, splits, capsys
):
    epochs = [{"epoch": 1, "eval_loss": 0.6, "eval_accuracy": 0.7, "train_loss": 0.6}]
    settings = {"train": {"num_train_epochs": 1, "learning_rate": 2e-5}}
    lineage = {"history": epochs, "settings": settings, "encoder": {"source": "built-in"}}
    bundle = make_bundle(strength=-1.0, temperature=0.5, lineage=lineage)
    report = evaluate(config, bundle, splits, tmp_path / "report")
    found = [item["reason"] for item in report["diagnosis"]]
    expected = ["low_learning_rate", "still_improving", "underconfident", "truncated"]
    assert found == expected
    assert json.loads((tmp_path / "report" / "report.json").read_text()) == report
    command.print_report(report, tmp_path / "report")
    printed = capsys.readouterr().out.replace("\n", " ")
    page = unescape((tmp_path / "report" / "report.html").read_text())
    for item in report["diagnosis"]:
        assert item["sentence"] in printed and item["sentence"] in page


def test_what_is_undefined_is_a_dash(tmp_path, config, make_bundle, splits):
    """A third label that is never predicted, and that no row has."""
    three = Path(shutil.copytree(splits, tmp_path / "three"))
    for file in three.glob("*.parquet"):
        table = pq.read_table(file)
        content = json.loads(table.schema.metadata[METADATA])
        content["labels"].append("absent")
        metadata = table.schema.metadata | {METADATA: json.dumps(content).encode()}
        pq.write_table(table.replace_schema_metadata(metadata), file)
    labels = ("negative", "positive", "absent")
    bundle = make_bundle(labels=labels, bias=(0, 0, -50))
    report = evaluate(config, bundle, three, tmp_path / "report")
    absent = report["per_class"][2]
    assert (absent["precision"], absent["recall"], absent["predicted"]) == (None, None, 0)
    page = (tmp_path / "report" / "report.html").read_text()
    rows = [row.partition("</tr>")[0] for row in page.split("<tr>")]
    (row,) = [row for row in rows if "absent" in row.partition("</th>")[0] and "–" in row]
    assert row.count("–") == 2 and "nan" not in row.lower()


def test_overconfidence_passes_the_limit_of_chance(tmp_path, config, make_bundle, splits):
    sure = evaluate(config, make_bundle(strength=10.0), splits, tmp_path / "report")["calibration"]
    assert sure["expected_calibration_error"] > sure["calibrated_limit"]


def test_calibration_is_of_what_is_served(tmp_path, config, make_bundle, splits):
    """Too sure by a factor of 3, which the bundle's temperature takes back."""
    bundle = make_bundle(strength=3.0, temperature=3.0)
    report = evaluate(config, bundle, splits, tmp_path / "report")
    assert report["model"]["temperature"] == 3.0
    again = evaluate(
        config, Path(shutil.copytree(bundle, tmp_path / "sure")), splits, tmp_path / "again"
    )
    assert again["calibration"] == report["calibration"]
    fields = Bundle.read(bundle).manifest.model_dump(
        mode="json", exclude={"format", "files", "digest"}
    )
    write_manifest(tmp_path / "sure", **fields | {"temperature": 1.0})
    sure = evaluate(config, tmp_path / "sure", splits, tmp_path / "sure_report")
    errors = [some["calibration"]["expected_calibration_error"] for some in (report, sure)]
    assert errors[0] < errors[1]
    assert report["accuracy"] == sure["accuracy"]
    page = (tmp_path / "report" / "report.html").read_text()
    assert "divided by a temperature of 3.00, fitted on the validation rows" in page


def test_coverage_and_precision_of_a_bundle_that_abstains(
    tmp_path, config, make_bundle, splits, capsys
):
    bundle = make_bundle(min_precision=0.9, thresholds=[0.95, 0.7])
    report = evaluate(config, bundle, splits, tmp_path / "report")
    split = read_split(splits, "test")
    answers = linnet.load(bundle).predict(split.texts)
    truth = [split.label_names[k] for k in split.labels]
    answered = [
        (answer.label, label)
        for answer, label in zip(answers, truth, strict=True)
        if not answer.abstained
    ]
    assert 0 < len(answered) < len(split)
    found = report["selective"]
    assert found["min_precision"] == 0.9
    assert found["coverage"]["value"] == pytest.approx(len(answered) / len(split))
    assert found["precision"]["value"] == pytest.approx(
        np.mean([given == label for given, label in answered])
    )
    for item, threshold in zip(found["per_class"], (0.95, 0.7), strict=True):
        own = [given == label for given, label in answered if given == item["label"]]
        assert (item["threshold"], item["answered"]) == (threshold, len(own))
        assert item["precision"]["value"] == pytest.approx(np.mean(own))
    assert report["model"]["thresholds"] == [0.95, 0.7]
    right = [max(answer.probabilities, key=answer.probabilities.get) for answer in answers]
    assert report["accuracy"]["value"] == pytest.approx(
        np.mean([a == b for a, b in zip(right, truth, strict=True)])
    )
    command.print_report(report, tmp_path / "report")
    printed = capsys.readouterr().out
    assert (
        f"answers {found['coverage']['value']:.2%} of the texts" in printed
        and "at a temperature of 1.00" in printed
    )
    page = (tmp_path / "report" / "report.html").read_text()
    assert "What it answers" in page and "asked for were 90.0" in page


def test_a_label_that_is_never_answered_is_said_to_be(tmp_path, config, make_bundle, splits):
    report = evaluate(
        config, make_bundle(min_precision=0.9, thresholds=[None, 0.7]), splits, tmp_path / "report"
    )
    assert (
        "It never answers 'negative', as export could not show that with any threshold."
        in report["notes"]
    )
    assert report["selective"]["per_class"][0]["answered"] == 0
    page = (tmp_path / "report" / "report.html").read_text()
    assert "never" in page and "None" not in page


def test_a_promise_that_these_rows_break_is_said_to_be(tmp_path, config, make_bundle, splits):
    bundle = make_bundle(strength=-1.0, min_precision=0.9, thresholds=[0.5, 0.5])
    report = evaluate(config, bundle, splits, tmp_path / "report")
    assert any(
        "'negative', 'positive' is right LESS often than that" in note for note in report["notes"]
    )


def test_a_changed_bundle_is_not_judged(tmp_path, config, make_bundle, splits):
    changed = make_bundle()
    (changed / "README.md").write_text("changed")
    with pytest.raises(BundleError, match="was changed"):
        evaluate(config, changed, splits, tmp_path / "report")
    assert not (tmp_path / "report").exists()


def test_a_folder_without_splits_is_refused(tmp_path, config, bundle):
    with pytest.raises(DataError, match="No such split"):
        evaluate(config, bundle, tmp_path, tmp_path / "report")
