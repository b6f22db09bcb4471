"""Dashboard and alerts speak of metrics and labels that there are, and alerts lead to paragraphs that there are."""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from linnet.predict import Prediction
from linnet.serve.telemetry.metrics import ArmStatus, Metrics
from linnet.serve.telemetry.monitor_status import MonitorStatus
from linnet.serve.telemetry.service_status import ServiceStatus

from ..monitor.sample import write

ROOT = Path(__file__).parents[2]
PROMETHEUS = ROOT / "deploy" / "prometheus"
DASHBOARD = json.loads((ROOT / "deploy" / "grafana" / "dashboard.json").read_text())
RULES = [
    rule
    for group in yaml.safe_load((PROMETHEUS / "alerts.yml").read_text())["groups"]
    for rule in group["rules"]
]
PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
EXPRESSIONS = [target["expr"] for panel in PANELS for target in panel["targets"]] + [
    rule["expr"] for rule in RULES
]
WORDS = set(
    "sum min max by on and or rate increase histogram_quantile predict_linear vector time offset group_left".split()
)
SCRAPED = {"up": set()}  # Prometheus' own
TARGET = {"instance", "job"}


@pytest.fixture(scope="module")
def samples(tmp_path_factory) -> dict[str, set[str]]:
    """The name of every sample that is exposed, and its labels."""
    folder = write(tmp_path_factory.mktemp("monitor"))
    monitor = MonitorStatus(folder)
    monitor.refresh()
    metrics = Metrics(
        lambda: ServiceStatus(
            True,
            0,
            0,
            0.0,
            1,
            (os.getpid(),),
            0,
            0,
            0,
            0,
            True,
            False,
            {("a", "all"): 0.0},
            {"a": False},
        ),
        monitor.gauges,
    )
    metrics.observe_request("/v1/predict", 200, 0.1)
    metrics.observe_answer("a", Prediction("b", 0.9, {"b": 0.9}, False, ("b",)))
    metrics.observe_batch("a", 1, 2, 3, 0.1)
    metrics.set_arms([ArmStatus("a", "champion", 1.0, "n", "d", "o", "v")])
    found = dict(SCRAPED)
    for family in metrics.registry.collect():
        for sample in family.samples:
            found[sample.name] = set(sample.labels)
    return found


def names_and_labels(expression: str) -> tuple[set[str], set[str]]:
    """What an expression asks for: names of metrics, and of labels."""
    labels = set()
    for group in re.findall(r"\{([^}]*)\}", expression):
        labels |= set(re.findall(r"(\w+)\s*(?:=~|!~|!=|=)", group))
    for group in re.findall(r"\b(?:by|on)\s*\(([^)]*)\)", expression):
        labels |= {label.strip() for label in group.split(",")}
    rest = re.sub(r"\{[^}]*\}|\[[^\]]*\]|\b(?:by|on)\s*\([^)]*\)|\boffset \w+", " ", expression)
    names = set(re.findall(r"[a-zA-Z_:][\w:]*", rest)) - WORDS
    return names, labels


def test_what_an_expression_asks_for_is_found():
    expression = (
        'sum by (arm, le) (rate(a_b{instance=~"$i", x!="}"}[5m] offset 1h)) '
        "/ on (arm) group_left c > vector(0)"
    )
    assert names_and_labels(expression.replace('"}"', '"y"')) == (
        {"a_b", "c"},
        {"arm", "le", "instance", "x"},
    )


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_every_expression_asks_for_what_there_is(samples, expression):
    names, labels = names_and_labels(expression)
    assert names, expression
    assert names <= set(samples), names - set(samples)
    assert labels <= TARGET.union(*(samples[name] for name in names))


def test_the_dashboard_shows_every_metric_but_those_of_sizes(samples):
    asked = set.union(*(names_and_labels(expression)[0] for expression in EXPRESSIONS))
    families = {
        re.sub(r"_(total|bucket|sum|count|created)$", "", name)
        for name in samples
        if name.startswith("linnet_")
    }
    shown = {re.sub(r"_(total|bucket|sum|count)$", "", name) for name in asked}
    # Both are told by the sums of tokens and of padding.
    assert families - shown == {"linnet_batch_tokens", "linnet_batch_padding_share"}


def test_panels_are_whole_and_do_not_overlap():
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])
    taken = set()
    for panel in DASHBOARD["panels"]:
        at = panel["gridPos"]
        cells = {(at["x"] + x, at["y"] + y) for x in range(at["w"]) for y in range(at["h"])}
        assert not cells & taken and at["x"] + at["w"] <= 24, panel["title"]
        taken |= cells
    for panel in PANELS:
        assert (
            panel["title"]
            and panel["description"].endswith(".")
            and panel["datasource"]["uid"] == "${datasource}"
        )


@pytest.mark.parametrize("rule", RULES, ids=[rule["alert"] for rule in RULES])
def test_every_alert_says_what_and_where_to_read_on(rule):
    assert rule["labels"]["severity"] in {"page", "ticket"}
    assert (
        rule["annotations"]["summary"].endswith(".")
        and "$labels.instance" in rule["annotations"]["summary"]
    )
    page, _, anchor = rule["annotations"]["runbook"].partition("#")
    headings = re.findall(r"^#+ (.+)$", (ROOT / page).read_text(), re.MULTILINE)
    assert anchor in {
        re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in headings
    }


def test_prometheus_loads_the_alerts_that_lie_beside_it():
    config = yaml.safe_load((PROMETHEUS / "prometheus.yml").read_text())
    assert [(PROMETHEUS / name).is_file() for name in config["rule_files"]] == [True]
    assert [job["job_name"] for job in config["scrape_configs"]] == ["linnet"]
    assert "metrics_path" not in config["scrape_configs"][0]  # the default is ours


@pytest.mark.skipif(
    shutil.which("promtool") is None, reason="promtool is not installed (package prometheus)"
)
def test_each_alert_fires_when_it_should():
    done = subprocess.run(
        ["promtool", "test", "rules", "alerts_test.yml"],
        cwd=PROMETHEUS,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_no_alert_is_left_untested():
    groups = yaml.safe_load((PROMETHEUS / "alerts_test.yml").read_text())["tests"]
    fired = {
        case["alertname"]
        for group in groups
        for case in group["alert_rule_test"]
        if case["exp_alerts"]
    }
    assert fired == {rule["alert"] for rule in RULES}
