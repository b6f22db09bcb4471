"""`linnet experiment` and `linnet decide`, from a log to exit codes."""

import json
from pathlib import Path

import pytest

from linnet.cli.main import main

from ..experiment.simulated import Log, epoch, traffic


def test_a_harmful_challenger_is_rolled_back_and_the_log_may_be_deleted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    log = Log()
    traffic(log, epoch(0.5), range(1, 500), failing=0.03, worse=9.0)
    path = tmp_path / "log.db"
    log.store(path).close()
    folder = tmp_path / "monitor"
    assert main(["experiment", str(path), "--out", str(folder / "experiment.json")]) == 0
    first = (folder / "experiment.json").read_bytes()
    assert main(["experiment", str(path), "--out", str(folder / "experiment.json")]) == 0
    assert (folder / "experiment.json").read_bytes() == first
    assert main(["decide", str(folder)]) == 22
    printed = capsys.readouterr().out
    assert "Verdict: roll back candidate" in printed
    path.unlink()
    (folder / "experiment.json").unlink()
    assert main(["decide", "--check", str(folder / "decision.json")]) == 0
    content = (folder / "decision.json").read_text()
    (folder / "decision.json").write_text(content.replace('"roll_back"', '"keep"'))
    assert main(["decide", "--check", str(folder / "decision.json")]) == 3
    assert "was changed" in capsys.readouterr().err


def test_without_an_experiment_the_champion_is_kept(tmp_path: Path):
    log = Log()
    log.answer(epoch(0.0), "champion", 1)
    log.store(tmp_path / "log.db").close()
    folder = tmp_path / "monitor"
    assert (
        main(["experiment", str(tmp_path / "log.db"), "--out", str(folder / "experiment.json")])
        == 0
    )
    assert main(["decide", str(folder)]) == 0
    assert json.loads((folder / "decision.json").read_text())["verdict"] == "keep"


@pytest.mark.parametrize(
    "arguments",
    [
        ["experiment", "NOWHERE.db"],
        ["decide", "NOWHERE"],
        ["decide", ".", "NOWHERE.json"],
        ["decide", "--check", "NOWHERE.json"],
        ["decide", "--cost-of-error", "nan"],
    ],
)
def test_bad_input_is_one_sentence(
    arguments: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
):
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == 2
    assert capsys.readouterr().err.startswith("linnet: ")
    assert list(tmp_path.iterdir()) == []
