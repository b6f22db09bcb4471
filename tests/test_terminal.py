"""Terminals that are closed, broken or not UTF-8, and labels that look like markup or control them."""

import ast
import io
import os
import subprocess
import sys
from pathlib import Path

import pytest

from linnet import terminal
from linnet.cli import tables
from linnet.cli.main import COMMANDS, main
from linnet.predict import Explanation

SOURCE = Path(__file__).parents[1] / "src" / "linnet"
LINNET = [sys.executable, "-m", "linnet.cli.main"]
ODD = [
    "[/closed]",
    "[bold]open",
    ":smile:",
    "\x1b[31mred",
    "a\rb",
    "\u202egpj",
    "日本",
    "é",
    "$x_1$",
]
SHOWN = ["[/closed]", "[bold]open", ":smile:", r"\x1b[31mred", r"a\x0db", r"\u202egpj"]


@pytest.fixture
def odd_labels(tmp_path, monkeypatch):
    """A file with twenty texts of each odd label; the labels are written as JSON."""
    import json

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "300")
    lines = [
        json.dumps({"text": f"a day of {sum(map(ord, label))} and {number}", "label": label})
        for label in ODD[:6]
        for number in range(20)
    ]
    Path("[red]rows.jsonl").write_text("\n".join(lines), encoding="utf-8")
    return "[red]rows.jsonl"


def test_prepare_shows_labels_and_names_as_they_are(odd_labels, capsys):
    assert main(["prepare", "--data", odd_labels, "--out", "splits"]) == 0
    shown = capsys.readouterr().out
    assert "Rows of [red]rows.jsonl" in shown
    assert "\x1b[31m" not in shown and "\u202e" not in shown
    for label in set(SHOWN) - {r"a\x0db"}:  # the rows with that one are dropped
        assert label in shown
    assert main(["compare", "splits", "splits"]) == 0
    capsys.readouterr()


@pytest.mark.parametrize("label", ODD)
def test_every_helper_prints_a_label_as_it_is(label, capsys):
    table = tables.new_table("label", label, title=f"Title {label}", right=(label,), fold=True)
    tables.add_row(table, label, label, bold=True)
    tables.print_table(table)
    terminal.print_line(f"Line {label}")
    terminal.print_line(f"Line {label}", error=True)
    tables.print_styled(f"A {label} B", [("bold green", 0, 1)])
    console = tables.console()
    with console.capture() as captured:
        console.print(label)
    assert label.replace("\r", "") in captured.get()
    shown = capsys.readouterr()
    for out in (shown.out, shown.err):
        assert "\x1b[31m" not in out and "\r" not in out and "\u202e" not in out
    if label not in ODD[3:6]:
        assert shown.out.count(label) == 6
        assert label in shown.err


def test_progress_shows_a_description_as_it_is(monkeypatch):
    from rich.console import Console

    from linnet.progress import progress

    screen = io.StringIO()
    monkeypatch.setattr(
        "linnet.progress.stderr", Console(file=screen, force_terminal=True, width=150)
    )
    with progress("score [/closed].csv", 3) as task:
        task.note("[bold] \x1b[31m")
        task.advance()
    assert "score [/closed].csv" in screen.getvalue()
    assert r"[bold] \x1b[31m" in screen.getvalue()


def test_explain_gives_each_word_a_style():
    from linnet.cli.explain import styles
    from linnet.predict import Word

    words = [Word("good", 0, 4, 2.0), Word("day", 5, 8, -0.5), Word("x", 9, 10, 0.01)]
    explanation = Explanation("good day x", "[/pos]", 0.9, words, truncated=False)
    assert styles(explanation) == [("bold green", 0, 4), ("red", 5, 8)]


def test_only_the_terminal_module_prints():
    """Nothing else may hand a text to a library that reads markup in it."""
    for file in SOURCE.rglob("*.py"):
        if file.relative_to(SOURCE).as_posix() in ("terminal.py", "cli/tables.py", "progress.py"):
            continue
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            name = getattr(getattr(node, "func", None), "id", "")
            assert name not in {"print", "Console"}, f"{file}:{node.lineno}"
            rich = isinstance(node, ast.ImportFrom) and (node.module or "").startswith("rich")
            assert not rich, f"{file}:{node.lineno}"


@pytest.fixture
def environments(tmp_path):
    """Environments of terminals that are not UTF-8."""
    plain = {name: value for name, value in os.environ.items() if not name.startswith("LC_")}
    plain |= {"TMPDIR": str(tmp_path)}
    return {
        "latin-1": plain | {"PYTHONIOENCODING": "latin-1"},
        "ascii": plain | {"PYTHONIOENCODING": "ascii:strict"},
        "C": plain | {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
    }


@pytest.mark.parametrize("kind", ["latin-1", "ascii", "C"])
def test_a_terminal_that_is_not_utf_8_sees_escapes(tmp_path, environments, kind):
    rows = "".join(f"a day {number},{'日本' if number % 2 else 'é'}\n" for number in range(40))
    (tmp_path / "日.csv").write_text("text,label\n" + rows, encoding="utf-8")
    command = [*LINNET, "prepare", "--data", "日.csv", "--out", "splits"]
    done = subprocess.run(command, cwd=tmp_path, env=environments[kind], capture_output=True)
    assert done.returncode == 0, done.stderr.decode()
    assert rb"\u65e5\u672c" in done.stdout
    assert b"Traceback" not in done.stderr


@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_help_and_mistakes_of_every_command_can_be_shown_in_ascii(command, monkeypatch):
    for arguments in (["--help"], ["--set", "data.sourçe=日", "日", "日"]):
        streams = [
            io.TextIOWrapper(io.BytesIO(), encoding="ascii", write_through=True) for _ in range(2)
        ]
        with monkeypatch.context() as patched:
            patched.setattr(sys, "stdout", streams[0])
            patched.setattr(sys, "stderr", streams[1])
            try:
                assert main([*([command] if command else []), *arguments]) != 1
            except SystemExit as stopped:
                assert stopped.code in (0, 2)


def run_shell(script: str, folder: Path) -> subprocess.CompletedProcess[str]:
    script = script.replace("linnet", " ".join(LINNET))
    return subprocess.run(["bash", "-c", script], cwd=folder, capture_output=True, text=True)


def test_a_reader_that_has_gone_is_no_error(tmp_path):
    done = run_shell("linnet --help | head -c 1; echo ${PIPESTATUS[0]}", tmp_path)
    assert (done.stdout, done.stderr) == ("u0\n", "")
    done = run_shell("linnet prepare --data absent 2>&1 >/dev/null | true; echo done", tmp_path)
    assert (done.stdout, done.stderr) == ("done\n", "")


def test_closed_streams_are_no_error(tmp_path):
    done = run_shell("linnet --version <&- >&- 2>&-; echo $?", tmp_path)
    assert (done.stdout, done.stderr) == ("0\n", "")
    done = run_shell("linnet prepare --data absent.csv >&-; echo $?", tmp_path)
    assert done.stdout == "3\n"
    assert "absent.csv does not exist" in done.stderr
    done = run_shell("linnet score bundle rows.csv >&-; echo $?", tmp_path)
    assert done.stdout == "2\n"
    assert done.stderr == (
        "linnet: The standard output is closed. Name a file to write with --out.\n"
    )
