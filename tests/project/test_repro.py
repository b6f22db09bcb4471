"""`dvc repro` in a new project: only what depends on a change runs, with the bytes of `linnet run`.

Needs the program `dvc`: on the PATH, or named by LINNET_DVC.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import linnet
from linnet.project import Options, init

DVC = os.environ.get("LINNET_DVC") or shutil.which("dvc")
SMALL = {
    'name_or_path = "linnet-mini"': (
        'name_or_path = "scratch"\nmax_length = 16\nvocab_size = 4096\n'
        "num_hidden_layers = 1\nhidden_size = 32"
    ),
    "num_train_epochs = 3": "num_train_epochs = 2\nlearning_rate = 5e-3",
    "\n[export]\n": "\n[export]\nparity_rows = 32\n",
}
FEELINGS = {"good": "positive", "bad": "negative"}
THINGS = "day film train song meal book game walk city idea".split()


class Project:
    """A project in git, with `dvc` and this source's `linnet` on the path."""

    def __init__(self, root: Path) -> None:
        programs = root / "bin"
        programs.mkdir()
        program = programs / "linnet"
        source = Path(linnet.__file__).parents[1]
        program.write_text(
            f'#!/bin/sh\nPYTHONPATH="{source}" exec "{sys.executable}" -m linnet.cli.main "$@"\n'
        )
        program.chmod(0o755)
        self.environment = {
            name: value for name, value in os.environ.items() if not name.startswith("GIT_")
        }
        self.environment |= {
            "PATH": f"{programs}:{Path(DVC or '').parent}:{os.environ['PATH']}",
            "DVC_SITE_CACHE_DIR": str(root / "site"),
            "HOME": str(root),
            "NO_COLOR": "1",
        }
        self.folder = root / "reviews"

    def run(self, *command: str, folder: Path | None = None) -> str:
        done = subprocess.run(
            command,
            cwd=folder or self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert done.returncode == 0, done.stdout
        return done.stdout

    def repro(self) -> list[str]:
        """The stages that ran."""
        return re.findall(r"^Running stage '(\w+)'", self.run("dvc", "repro"), re.M)

    def commit(self) -> None:
        self.run("git", "add", ".")
        self.run("git", "-c", "user.name=a", "-c", "user.email=a@b.c", "commit", "-qm", "Change")

    def change(self, old: str, new: str) -> None:
        settings = self.folder / "linnet.toml"
        text = settings.read_text()
        assert old in text
        settings.write_text(text.replace(old, new))


@pytest.fixture
def project(tmp_path: Path) -> Project:
    if not DVC:
        pytest.skip("needs dvc on the PATH, or its path in LINNET_DVC")
    data = tmp_path / "reviews.csv"
    rows = [
        f"a {word} {one} and {other} number {number},{label}"
        for word, label in FEELINGS.items()
        for one in THINGS
        for other in THINGS
        for number in range(4)
        if one != other
    ]
    data.write_text("\n".join(["text,label", *rows]) + "\n")
    project = Project(tmp_path)
    init(project.folder, Options.parse("reviews", data), linnet.__version__, data)
    for old, new in SMALL.items():
        project.change(old, new)
    project.run("git", "init", "-q", "--initial-branch", "main")
    project.run("dvc", "add", "data/reviews.csv")
    project.commit()
    return project


@pytest.mark.slow
@pytest.mark.timeout(1500)
def test_only_what_depends_on_a_change_runs_and_the_bytes_are_those_of_linnet_run(
    project, tmp_path
):
    assert project.repro() == ["prepare", "train", "export", "evaluate"]
    git = json.loads((project.folder / "report" / "report.json").read_text())["lineage"]["git"]
    assert git["dirty"] is False
    project.commit()
    assert project.run("git", "status", "--porcelain") == ""
    assert project.repro() == []
    project.change("\n[export]\n", "\n[serve]\nport = 9000\n\n[export]\n")
    assert project.repro() == []

    project.run("linnet", "run")
    run = project.folder / "runs" / "reviews"
    for path in (
        *(f"splits/{name}.parquet" for name in ("train", "validation", "test")),
        "checkpoint/model.safetensors",
        "bundle/model.onnx",
        "report/metrics.json",
    ):
        assert (run / path).read_bytes() == (project.folder / path).read_bytes(), path

    # A clean clone has neither data nor results, and the lock still fits the settings.
    project.commit()
    clone = tmp_path / "clone"
    project.run("git", "clone", "-q", str(project.folder), str(clone))
    plan = project.run("dvc", "repro", "--allow-missing", "--dry", folder=clone)
    assert "Running stage" not in plan
    project.run("dvc", "push")
    # The store's path begins at the project, so the clone is given the project's.
    store = str(project.folder / "dvc-store")
    project.run("dvc", "remote", "modify", "--local", "storage", "url", store, folder=clone)
    project.run("dvc", "pull", folder=clone)
    assert "Running stage" not in project.run("dvc", "repro", folder=clone)

    project.change("num_train_epochs = 2", "num_train_epochs = 3")
    assert project.repro() == ["train", "export", "evaluate"]
    assert "accuracy" in project.run("dvc", "metrics", "diff")
