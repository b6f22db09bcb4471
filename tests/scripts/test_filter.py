"""The jq filter keeps the rows that pass every test given, in their order."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "scripts" / "filter.sh"
ROWS = [
    {"text": "good day", "label": 1},
    {"text": "Rain, rain", "label": 0},
    {"text": "é😀", "label": 1},
    {"text": 'a "quote" \\ and $HOME', "label": 0},
    {"text": "café", "label": "other"},
]

pytestmark = pytest.mark.skipif(not shutil.which("jq"), reason="needs jq, which is not installed")


def run(*arguments: object, text: str | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["sh", SCRIPT, *map(str, arguments)],
        input=text,
        capture_output=True,
        encoding="utf-8",
        timeout=60,
    )


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "-rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in ROWS), encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("arguments", "kept"),
    [
        ([], [0, 1, 2, 3, 4]),
        (["--label", "0"], [1, 3]),
        (["--label", "other"], [4]),
        (["--min-length", "8"], [0, 1, 3]),
        (["--max-length", "4"], [2, 4]),
        (["--min-length", "2", "--max-length", "2"], [2]),
        (["--pattern", "rain"], [1]),
        (["--pattern", "^rain", "--ignore-case"], [1]),
        (["--pattern", "^rain"], []),
        (["--pattern", '"quote" \\\\ and \\$'], [3]),
        (["--pattern", "^caf\\w$"], [4]),
        (["--label", "1", "--pattern", "d", "--min-length", "3"], [0]),
    ],
)
def test_keeps_what_passes(file: Path, arguments: list[str], kept: list[int]) -> None:
    done = run(*arguments, file)
    assert (done.returncode, done.stderr) == (0, "")
    assert list(map(json.loads, done.stdout.splitlines())) == [ROWS[index] for index in kept]
    assert run(*arguments, text=file.read_text(encoding="utf-8")).stdout == done.stdout


@pytest.mark.parametrize(
    "arguments",
    [
        ["--label"],
        ["--size", "3"],
        ["--min-length", "x"],
        ["--max-length", "-1"],
        ["--pattern", "("],
    ],
)
def test_wrong_usage_exits_with_2(file: Path, arguments: list[str]) -> None:
    done = run(*arguments, *([] if arguments == ["--label"] else [file]), text="")
    assert (done.returncode, done.stdout) == (2, "")
    assert "usage:" in done.stderr


def test_what_is_no_json_fails(file: Path) -> None:
    assert run(text='{"text": "a", "label": 1}\nno json\n').returncode != 0
    assert run(file.with_name("none.jsonl")).returncode != 0
