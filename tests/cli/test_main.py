"""The command line as a user meets it: instant help, one sentence for a mistake, a traceback for a defect."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from linnet import __version__
from linnet.cli.main import COMMANDS, build_parser, main
from linnet.errors import BundleError, LinnetError, OutOfMemoryError, UsageError

LINNET = [sys.executable, "-m", "linnet.cli.main"]
HEAVY = {
    "torch",
    "transformers",
    "numpy",
    "onnxruntime",
    "tokenizers",
    "fastapi",
    "pydantic",
    "rich",
    "sklearn",
}


def linnet(*arguments, **options):
    return subprocess.run(
        [*LINNET, *map(str, arguments)], capture_output=True, text=True, **options
    )


@pytest.fixture
def failing(monkeypatch):
    """Make `linnet serve` raise an error."""

    def raise_from_serve(error: BaseException) -> None:
        def fail(_):
            raise error

        monkeypatch.setattr(COMMANDS["serve"], "main", fail)

    return raise_from_serve


def test_help_is_instant():
    def measure() -> float:
        started = time.perf_counter()
        assert linnet("--help").returncode == 0
        return time.perf_counter() - started

    assert min(measure() for _ in range(5)) < 0.3


def test_help_imports_nothing_heavy():
    code = (
        "import sys\nfrom linnet.cli.main import build_parser\nbuild_parser()\nprint(*sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert HEAVY & {name.partition(".")[0] for name in done.stdout.split()} == set()


def test_help_names_every_command(capsys):
    assert main([]) == 2
    shown = capsys.readouterr().out
    for name, module in COMMANDS.items():
        assert name in shown and module.SUMMARY in " ".join(shown.split())


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_has_help_with_its_description(command, capsys):
    with pytest.raises(SystemExit) as caught:
        main([command, "--help"])
    assert caught.value.code == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert " ".join(COMMANDS[command].__doc__.split())[:40] in shown
    assert "--debug" in shown and "--pdb" in shown


def test_the_version(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"{__version__}\n"


@pytest.mark.parametrize("arguments", [["sevre"], ["--unknown"], ["serve", "--unknown"]])
def test_an_unknown_command_or_flag(arguments, capsys):
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    assert "Traceback" not in capsys.readouterr().err


def test_an_unknown_command_names_those_there_are():
    done = linnet("sevre")
    assert done.returncode == 2
    assert all(name in done.stderr for name in COMMANDS)


@pytest.mark.parametrize(
    "error", [LinnetError("A sentence."), UsageError("A sentence."), BundleError("A sentence.")]
)
def test_a_mistake_is_one_sentence_and_its_exit_code(failing, capsys, error):
    failing(error)
    assert main(["serve", "x"]) == error.exit_code
    assert capsys.readouterr() == ("", "linnet: A sentence.\n")


@pytest.mark.parametrize("arguments", [["--debug", "serve", "x"], ["serve", "x", "--debug"]])
def test_debug_shows_where_a_mistake_came_from(failing, capsys, arguments):
    failing(BundleError("A sentence."))
    assert main(arguments) == BundleError.exit_code
    shown = capsys.readouterr().err
    assert shown.startswith("Traceback (most recent call last):")
    assert shown.endswith("linnet: A sentence.\n")


def test_a_defect_shows_its_traceback_and_asks_for_a_report(failing, capsys):
    failing(ZeroDivisionError("division by zero"))
    assert main(["serve", "x"]) == 1
    shown = capsys.readouterr().err
    assert "ZeroDivisionError: division by zero" in shown
    assert shown.endswith(
        "linnet: this is a defect of Linnet. Please report it with the lines above.\n"
    )


def test_memory_that_ran_out_is_no_defect(failing, capsys):
    failing(MemoryError())
    assert main(["serve", "x"]) == OutOfMemoryError.exit_code == 9
    assert capsys.readouterr().err.startswith(
        "linnet: Memory ran out; files that were not finished were not written."
    )
    assert main(["serve", "x", "--debug"]) == 9
    assert "MemoryError" in capsys.readouterr().err


def test_an_interruption_exits_as_shells_have_it(failing, capsys):
    failing(KeyboardInterrupt())
    assert main(["serve", "x"]) == 130
    assert (
        capsys.readouterr().err
        == "\nlinnet: interrupted; files that were not finished were not written.\n"
    )


def test_a_real_mistake_in_a_real_process(tmp_path):
    done = linnet("serve", tmp_path / "absent")
    assert done.returncode == BundleError.exit_code
    assert (
        done.stderr
        == f"linnet: No such bundle: {tmp_path / 'absent'}. Expected a folder that `linnet export` wrote.\n"
    )
    assert done.stdout == ""


def test_pdb_stops_where_the_error_was_raised(tmp_path):
    done = linnet("serve", tmp_path / "absent", "--pdb", input="p path.name\nq\n")
    assert done.returncode == BundleError.exit_code
    assert "(Pdb) 'absent'" in done.stdout
    assert "Traceback" in done.stderr


def test_settings_that_are_off_are_told_by_every_command_alike(tmp_path):
    done = linnet("serve", tmp_path, "--set", "serve.prot=1")
    assert done.returncode == 2
    assert done.stderr == "linnet: 1 invalid setting:\n  serve.prot  is not a setting\n"


@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("arguments", [["--help"], ["serve", "--help"], ["--version"], []])
def test_a_reader_that_has_gone_is_no_error(arguments, unbuffered):
    reading, writing = os.pipe()
    os.close(reading)
    environment = os.environ | {"PYTHONUNBUFFERED": unbuffered}
    done = subprocess.run(
        [*LINNET, *arguments], stdout=writing, stderr=subprocess.PIPE, text=True, env=environment
    )
    os.close(writing)
    assert done.stderr == ""
    assert done.returncode in {0, 2}


def test_flags_that_name_settings_share_one_spelling_of_their_key():
    commands = next(action for action in build_parser()._actions if action.dest == "command")
    for command in commands.choices.values():
        for action in command._actions:
            if "." in action.dest:
                assert action.default is None, "a flag's default would hide the settings file"


def test_the_package_itself_imports_nothing_heavy():
    code = "import sys, linnet; linnet.__version__; dir(linnet); print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=Path.home()
    )
    assert HEAVY & {name.partition(".")[0] for name in done.stdout.split()} == set()
