"""metrics.json and report.md: extracts of the report, without time, for hostile labels too."""

import json

import pytest

from linnet.evaluate import evaluate, summary


@pytest.fixture(scope="module", params=["bundle", "tone_bundle"])
def folder(request, tmp_path_factory, config):
    bundle = request.getfixturevalue(request.param)
    splits = request.getfixturevalue(request.param.replace("bundle", "splits"))
    directory = tmp_path_factory.mktemp("judged") / "report"
    evaluate(config, bundle, splits, directory)
    return directory


def test_the_extracts_are_of_the_report(folder):
    report = json.loads((folder / "report.json").read_text())
    metrics = json.loads((folder / "metrics.json").read_text())
    assert metrics["accuracy"] == report["accuracy"]
    assert ("micro_f1" in metrics) is ("micro_f1" in report)
    assert list(metrics["f1"].values()) == [
        item["f1"]["value"] for item in sorted(report["per_class"], key=lambda item: item["label"])
    ]
    assert "latency" not in metrics and "created" not in json.dumps(metrics)
    table = (folder / "report.md").read_text()
    for item in report["baselines"]:
        assert item["title"] in table


def test_a_label_can_neither_add_a_row_nor_markup(folder):
    report = json.loads((folder / "report.json").read_text())
    lines = summary.to_markdown(report).splitlines()
    report["per_class"][0]["label"] = "a|b\n<script>\ud800`"
    hostile = summary.to_markdown(report).splitlines()
    assert len(hostile) == len(lines)
    assert not any("<script>" in line for line in hostile)
