"""Long work is shown: plain lines where there is no terminal, a bar where there is one."""

import io

import pytest
from rich.console import Console

from linnet import progress as module
from linnet.progress import progress


@pytest.fixture
def clock(monkeypatch):
    """Time that passes only when told to."""
    now = [100.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    return now


@pytest.fixture(autouse=True)
def plain(monkeypatch):
    monkeypatch.setattr(module, "stderr", Console(file=io.StringIO(), force_terminal=False))


def test_plain_lines_say_what_is_left(clock, capsys):
    with progress("train", total=1000, unit="steps") as task:
        clock[0] += 9
        task.advance(200)
        assert capsys.readouterr().err == ""
        clock[0] += 1
        task.note("loss 0.4")
        task.advance(50)
        assert capsys.readouterr() == ("", "train: 250 of 1,000 steps, 0:00:30 left, loss 0.4\n")


def test_what_was_done_before_says_nothing_about_what_is_left(clock, capsys):
    with progress("train", total=1000, unit="steps", done=500) as task:
        clock[0] += 10
        task.advance(50)
    assert capsys.readouterr().err == "train: 550 of 1,000 steps, 0:01:30 left\n"


@pytest.mark.parametrize("terminal", [False, True])
def test_one_of_several_processes_can_be_silent(clock, monkeypatch, capsys, terminal):
    screen = io.StringIO()
    monkeypatch.setattr(module, "stderr", Console(file=screen, force_terminal=terminal))
    with progress("train", total=1000, shown=False) as task:
        clock[0] += 100
        task.note("loss 0.4")
        task.advance(50)
    assert (screen.getvalue(), capsys.readouterr()) == ("", ("", ""))


def test_a_line_each_ten_seconds_at_most(clock, capsys):
    with progress("read", total=None) as task:
        for _ in range(100):
            clock[0] += 1
            task.advance()
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 10
    assert lines[-1] == "read: 100 rows"


def test_short_work_says_nothing(capsys):
    with progress("read", total=3) as task:
        task.advance(3)
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("total", [40, None])
def test_a_terminal_sees_a_bar(monkeypatch, capsys, total):
    screen = io.StringIO()
    monkeypatch.setattr(module, "stderr", Console(file=screen, force_terminal=True, width=120))
    with progress("train", total, unit="steps") as task:
        task.advance(10)
        task.note("loss 0.4")
    shown = screen.getvalue()
    assert all(word in shown for word in ("train", "steps", "10/", "loss 0.4"))
    assert capsys.readouterr() == ("", "")


def test_an_error_passes_through():
    with pytest.raises(ValueError, match="inside"), progress("train", total=1):
        raise ValueError("inside")
