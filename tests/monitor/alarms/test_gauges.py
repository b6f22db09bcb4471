"""The results as metrics, and as a file that Prometheus' own parser reads."""

from prometheus_client.parser import text_string_to_metric_families

from linnet.monitor.alarms import gauges, textfile
from linnet.monitor.results import Results, read_results

from ..sample import decision, drift, write


def parsed(text: str) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_the_file_says_what_the_results_say(tmp_path):
    found = parsed(textfile(gauges(read_results(write(tmp_path)))))
    arm, stream = ("arm", "champion"), ("stream", "surprise")
    evidence = drift()["arms"]["champion"]["streams"]["surprise"]["evidence_log10"]
    assert found["linnet_drift_evidence", (arm, stream)] == evidence
    assert found["linnet_drift_alarm", (arm, stream)] == 1
    assert found["linnet_drift_alarm", (arm, ("stream", "tokens"))] == 0
    assert 4.6 < found["linnet_drift_evidence_limit", ()] < 4.7
    for kind, low in (("measured", 0.731), ("estimated", 0.785)):
        assert found["linnet_accuracy", (arm, ("bound", "low"), ("kind", kind))] == low
    assert not [
        key for key in found if key[0] == "linnet_accuracy" and ("arm", "candidate") in key[1]
    ]
    verdicts = {key[1][0][1]: v for key, v in found.items() if key[0] == "linnet_decision"}
    assert verdicts == {"keep": 0, "retrain": 0, "promote": 1, "roll_back": 0, "invalid": 0}
    assert found["linnet_monitor_broken_files", ()] == 0


def test_hostile_names_are_escaped(tmp_path):
    name = 'a"b\\c\nd} 1\n# TYPE x gauge'
    content = drift()
    content["arms"] = {name: content["arms"]["champion"]}
    for alarm in content["alarms"]:
        alarm["arm"] = name
    found = parsed(textfile(gauges(read_results(write(tmp_path, drift=content)))))
    assert found["linnet_drift_alarm", (("arm", name), ("stream", "surprise"))] == 1


def test_an_acknowledged_stream_has_no_alarm_and_an_unsure_estimate_is_not_shown(tmp_path):
    content = drift()
    content["arms"]["champion"]["streams"]["surprise"]["acknowledged"] = 1.0
    content["arms"]["champion"]["accuracy"]["state"] = "unknown"
    found = parsed(textfile(gauges(read_results(write(tmp_path, drift=content)))))
    arm = ("arm", "champion")
    assert found["linnet_drift_alarm", (arm, ("stream", "surprise"))] == 0
    assert found["linnet_drift_alarm", (arm, ("stream", "label:negative"))] == 1
    kinds = {dict(key[1])["kind"] for key in found if key[0] == "linnet_accuracy"}
    assert kinds == {"measured"}


def test_no_results_are_no_values_and_broken_ones_are_counted(tmp_path):
    assert set(parsed(textfile(gauges(Results())))) == {("linnet_monitor_broken_files", ())}
    write(tmp_path, drift=b"{", decision=decision() | {"verdict": "perhaps"})
    found = parsed(textfile(gauges(read_results(tmp_path))))
    written = (tmp_path / "drift.json").stat().st_mtime
    assert found == {
        ("linnet_monitor_broken_files", ()): 2,
        ("linnet_monitor_timestamp_seconds", ()): written,
    }
