"""Docs that can't rot: what is generated is compared, what is written by hand must name what exists."""

import dataclasses
import json
import re
import subprocess
import sys
from pathlib import Path

from transformers import TrainingArguments

import linnet
from linnet.config import load_config

ROOT = Path(__file__).parents[1]


def test_reference_is_up_to_date():
    done = subprocess.run(
        [sys.executable, ROOT / "scripts/reference.py", "--check"], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


def test_every_public_name_is_documented():
    reference = (ROOT / "docs/reference.md").read_text()
    for name in linnet.__all__:
        assert name == "__version__" or f"`{name}`" in reference or f"linnet.{name}" in reference, (
            name
        )


def test_every_source_file_is_on_the_map():
    source, page = ROOT / "src/linnet", (ROOT / "docs/architecture.md").read_text()
    for path in sorted(source.rglob("*.py")):
        if path.name != "__init__.py":
            assert path.name in page, (
                f"{path.relative_to(source)} is not on the map of docs/architecture.md"
            )


def test_every_folder_and_every_file_beside_them_is_on_the_readmes_map():
    source, readme = ROOT / "src/linnet", (ROOT / "README.md").read_text()
    for path in sorted(source.iterdir()):
        name = f"{path.name}/" if path.is_dir() else path.name
        assert name in readme or name in ("__pycache__/", "py.typed"), (
            f"{name} is not on the README's map"
        )


def test_files_of_figures_are_named_where_results_are_shown():
    shown = (ROOT / "docs/results.md").read_text() + (ROOT / "docs/sentiment140.md").read_text()
    for path in sorted((ROOT / "benchmarks/results").glob("*.json")):
        assert path.name in shown, path.name


def test_contributing_names_files_and_verbs_that_exist():
    page = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    named = re.findall(
        r"`(?:\.venv/bin/\S+ |sudo bash )?((?:src|tests|scripts|\.ci)/[^`\s]*)`", page
    )
    assert len(named) > 20
    assert [path for path in named if not (ROOT / path).exists()] == []
    verbs = set(re.findall(r"^([a-z-]+):.*## ", (ROOT / "Makefile").read_text(), re.MULTILINE))
    asked = set(re.findall(r"\bmake ([a-z-]+)", page))
    assert {"test", "check"} <= asked <= verbs


def test_links_between_docs_lead_somewhere():
    for page in [
        ROOT / "README.md",
        ROOT / "CONTRIBUTING.md",
        *sorted((ROOT / "docs").glob("*.md")),
    ]:
        for target, place in re.findall(r"\]\(([^)#]*)(?:#([^)]*))?\)", page.read_text()):
            if "://" not in target:
                other = page.parent / target if target else page
                assert other.exists(), f"{page.name} links to {target}"
                assert not place or place in _places(other), (
                    f"{page.name} links to {target}#{place}"
                )


def _places(page: Path) -> set[str]:
    """What links into a page can name: its headings, as GitHub writes them."""
    headings = [
        line.lstrip("#").strip().lower()
        for line in page.read_text().splitlines()
        if line.startswith("#")
    ]
    return {re.sub(r"[^\w -]", "", heading).replace(" ", "-") for heading in headings}


def test_techniques_are_worth_what_their_figures_say():
    shown = (ROOT / "docs/results.md").read_text()
    for line in json.loads((ROOT / "benchmarks/results/techniques.json").read_text())["lines"]:
        each = " ".join(f"{100 * value:.2f}" for value in line["accuracy"])
        ends = (
            [f"{100 * line['gain'][end]:+.2f}" for end in ("value", "low", "high")]
            if "gain" in line
            else []
        )
        row = next(
            row for row in shown.splitlines() if row.startswith(f"| {line['words']} | {each} | ")
        )
        assert all(end in row for end in ends), row


def test_the_docs_know_the_defaults_of_trainer_and_of_linnet():
    page = (ROOT / "docs/coming-from.md").read_text()
    theirs = {field.name: field.default for field in dataclasses.fields(TrainingArguments)}
    ours = load_config(None).train.model_dump()
    found = re.findall(r"^\| `(\w+)` \| (\S+) \| (\S+) \|$", page, re.MULTILINE)
    assert len(found) == 5
    for name, own, other in found:
        assert (json.loads(own), json.loads(other)) == (ours[name], theirs[name]), name
