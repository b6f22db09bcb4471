"""`linnet export` tells what was proven and where the bundle is, or why there is none."""

import pytest

import linnet
from linnet.bundle import Bundle
from linnet.cli.export import print_proof
from linnet.cli.main import main
from linnet.errors import ModelError, ProofError


@pytest.fixture
def command(checkpoint, splits, tmp_path):
    return [
        *(
            "export",
            "--checkpoint",
            str(checkpoint),
            "--splits",
            str(splits),
            "--out",
            str(tmp_path / "bundle"),
        ),
        *("--set", "model.max_length=64", "--name", "asked"),
    ]


def test_it_prints_the_proof_and_the_digest(command, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "200")
    assert main(command) == 0
    printed = capsys.readouterr().out
    classifier = linnet.load(tmp_path / "bundle")
    assert classifier.name == "asked"
    for name, check in classifier.bundle.proof["checks"].items():
        assert name in printed
        assert check["detail"][:60] in printed
    for entry in classifier.bundle.proof["variants"]:
        assert f"{entry['variant']} " in printed and entry["reason"][:40] in printed
    assert f"Bundle: {tmp_path / 'bundle'}" in printed
    assert f"Digest: {classifier.digest}" in printed
    assert f"linnet evaluate {tmp_path / 'bundle'}" in printed


def test_it_prints_calibration_before_and_after_and_what_is_held_back(
    command, tmp_path, monkeypatch, capsys
):
    monkeypatch.setenv("COLUMNS", "400")
    assert main([*command, "--set", "export.min_precision=0.7"]) == 0
    printed = capsys.readouterr().out
    proof = linnet.load(tmp_path / "bundle").bundle.proof["checks"]
    calibration, precision = proof["calibration"], proof["precision"]
    assert f"{calibration['expected_calibration_error_before']:.2%}" in printed
    assert f"{calibration['expected_calibration_error']:.2%}" in printed
    assert f"answers {precision['coverage']['value']:.2%} of the texts" in printed
    assert all(note in printed for check in proof.values() for note in check.get("notes", []))


def test_a_label_that_is_never_answered_is_a_sentence(bundle, capsys):
    made = Bundle.read(bundle)
    made.proof["checks"]["precision"] = {
        "passed": True,
        "detail": "fine",
        "notes": ["Never answered: 'x'."],
    }
    print_proof(made)
    assert "Never answered: 'x'.\n" in capsys.readouterr().out


def test_a_proof_that_fails_is_one_sentence_and_no_bundle(command, tmp_path, capsys):
    assert main([*command, "--set", "export.parity_tolerance=1e-12"]) == ProofError.exit_code
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("linnet: The check 'parity' failed: ")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_no_checkpoint(command, checkpoint, tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    command[2] = str(tmp_path / "empty")
    assert main(command) == ModelError.exit_code
    assert capsys.readouterr().err == (
        f"linnet: {tmp_path / 'empty'} is not a checkpoint: it holds no config.json. Expected a folder that "
        "`linnet train` wrote, or one that `save_pretrained` did.\n"
    )
    assert not (tmp_path / "bundle").exists()
