"""`linnet evaluate` as a person calls it."""

import json

from linnet.cli.main import main


def test_it_prints_the_table_and_writes_the_report(tmp_path, capsys, bundle, splits):
    out = tmp_path / "report"
    flags = ["--splits", str(splits), "--out", str(out), "--split", "validation"]
    assert main(["evaluate", str(bundle), *flags, "--set", "evaluate.bootstrap_resamples=100"]) == 0
    printed = capsys.readouterr().out
    report = json.loads((out / "report.json").read_text())
    assert report["split"] == "validation"
    assert f"{100 * report['accuracy']['value']:.2f} %" in printed
    assert "TF-IDF" in printed
    assert report["verdict"] in printed.replace("\n", " ")
    assert "chose the epoch" in printed
    assert str(out / "report.html") in printed.replace("\n", "")


def test_a_folder_that_is_no_bundle_is_one_sentence(tmp_path, capsys, splits):
    assert (
        main(
            ["evaluate", str(tmp_path), "--splits", str(splits), "--out", str(tmp_path / "report")]
        )
        == 5
    )
    assert "is not a bundle" in capsys.readouterr().err
    assert not (tmp_path / "report").exists()
