"""Docs that can't rot: what is generated is compared, what is written by hand must name what exists."""

import subprocess
import sys
from pathlib import Path

import linnet

ROOT = Path(__file__).parents[1]


def test_reference_is_up_to_date():
    done = subprocess.run([sys.executable, ROOT / "scripts/reference.py", "--check"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_every_public_name_is_documented():
    reference = (ROOT / "docs/reference.md").read_text()
    for name in linnet.__all__:
        assert name == "__version__" or f"`{name}`" in reference or f"linnet.{name}" in reference, name


def test_every_source_file_is_on_the_map():
    readme = (ROOT / "README.md").read_text()
    for path in sorted((ROOT / "src/linnet").rglob("*.py")):
        name = path.relative_to(ROOT / "src/linnet")
        if path.name != "__init__.py":
            assert name.name in readme, f"{name} is not on the README's map"


def test_links_between_docs_lead_somewhere():
    import re

    for page in [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]:
        for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text()):
            if "://" not in target:
                assert (page.parent / target).exists(), f"{page.name} links to {target}"
