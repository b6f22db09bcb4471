"""`linnet`: find the command, run it, turn Linnet's errors into one sentence and an exit code."""

import argparse
import os
import pdb
import sys
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TextIO

from linnet.cli import (
    compare,
    decide,
    distil,
    evaluate,
    experiment,
    explain,
    export,
    fetch,
    init,
    keys,
    labels,
    monitor,
    optimize,
    prepare,
    promote,
    queue,
    run,
    score,
    serve,
    sign,
    track,
    train,
    tune,
)
from linnet.errors import LinnetError, OutOfMemoryError, StorageError, UsageError
from linnet.terminal import open_streams, print_line

COMMANDS = {
    "init": init,
    "run": run,
    "prepare": prepare,
    "compare": compare,
    "train": train,
    "tune": tune,
    "distil": distil,
    "export": export,
    "evaluate": evaluate,
    "track": track,
    "promote": promote,
    "fetch": fetch,
    "optimize": optimize,
    "score": score,
    "explain": explain,
    "serve": serve,
    "monitor": monitor,
    "queue": queue,
    "labels": labels,
    "experiment": experiment,
    "decide": decide,
    "keys": keys,
    "sign": sign,
}
DRAW = {
    "run",
    "prepare",
    "compare",
    "train",
    "tune",
    "distil",
    "export",
    "evaluate",
}  # with matplotlib
INTERRUPTED = 130  # 128 + SIGINT, as shells have it


def build_parser() -> argparse.ArgumentParser:
    """The whole command line, for parsing and for the test that holds it against the docs."""
    parser = argparse.ArgumentParser(
        prog="linnet",
        description="From a labelled text file to a text-classification service that proves it "
        "works.",
    )
    parser.add_argument("--version", action="store_true", help="print the version and exit")
    _add_debugging(parser, default=False)
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    for name, module in COMMANDS.items():
        command = commands.add_parser(name, help=module.SUMMARY, description=module.__doc__)
        module.add_arguments(command)
        _add_debugging(command, default=argparse.SUPPRESS)
    return parser


def _add_debugging(parser: argparse.ArgumentParser, default: bool | str) -> None:
    parser.add_argument(
        "--debug", action="store_true", default=default, help="show the traceback of an error"
    )
    parser.add_argument(
        "--pdb", action="store_true", default=default, help="stop in the debugger on an error"
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command line; give the exit code."""
    open_streams()
    code = 0
    try:
        try:
            code = _run(argv)
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
    except OSError as error:
        _give_up(sys.stdout)
        if isinstance(error, BrokenPipeError):  # the reader, such as `head`, has gone
            _give_up(sys.stderr)
            return 0
        if not code:
            print_line(
                f"linnet: The standard output can't be written: {error.strerror}. Make room.",
                error=True,
            )
        return code or StorageError.exit_code
    return code


def _give_up(stream: TextIO) -> None:
    """Discard what is still to be written, because Python flushes a stream at its end."""
    try:
        stream.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _run(argv: Sequence[str] | None) -> int:
    parser = build_parser()
    arguments = parser.parse_args(argv)
    if arguments.version:
        from linnet import __version__

        print_line(__version__)
        return 0
    if arguments.command is None:
        parser.print_help()
        return UsageError.exit_code
    if not arguments.debug:
        # A tokenizer that panics is a sentence; a page of Rust's own before it would hide that.
        os.environ["RUST_BACKTRACE"] = "0"
    try:
        with _fonts_elsewhere() if arguments.command in DRAW else nullcontext():
            code: int | None = COMMANDS[arguments.command].main(arguments)
    except KeyboardInterrupt:
        print_line(
            "\nlinnet: interrupted; files that were not finished were not written.", error=True
        )
        return INTERRUPTED
    except BrokenPipeError:
        raise
    except MemoryError as error:
        return _report(_memory_error(error), arguments)
    except Exception as error:
        return _report(error, arguments)
    return code or 0


@contextmanager
def _fonts_elsewhere() -> Iterator[None]:
    """Let matplotlib keep its list of fonts out of the home folder, if it has none there yet.

    Finding the fonts again takes 0.2 s.
    """
    home = Path("~").expanduser()
    kept = any(os.path.exists(home / name / "matplotlib") for name in (".config", ".cache"))  # noqa: PTH110 - False where it may not look
    if kept or {"MPLCONFIGDIR", "XDG_CONFIG_HOME", "XDG_CACHE_HOME"} & os.environ.keys():
        yield
        return
    try:
        folder = TemporaryDirectory(prefix="linnet-fonts-", ignore_cleanup_errors=True)
    except OSError:  # then matplotlib finds its own way
        yield
        return
    with folder as path:
        os.environ["MPLCONFIGDIR"] = path
        try:
            yield
        finally:
            del os.environ["MPLCONFIGDIR"]


def _memory_error(error: MemoryError) -> OutOfMemoryError:
    known = OutOfMemoryError(
        "Memory ran out; files that were not finished were not written. Take fewer rows "
        "(data.sample), end what else runs here, or take a machine with more memory."
    )
    known.__cause__ = error
    known.__traceback__ = error.__traceback__
    return known


def _report(error: Exception, arguments: argparse.Namespace) -> int:
    known = isinstance(error, LinnetError)
    if arguments.debug or arguments.pdb or not known:
        traceback.print_exception(error)
    if known:
        print_line(f"linnet: {error}", error=True)
    else:
        print_line(
            "linnet: this is a defect of Linnet. Please report it with the lines above.", error=True
        )
    if arguments.pdb:
        pdb.post_mortem(error.__traceback__)
    return error.exit_code if isinstance(error, LinnetError) else 1


if __name__ == "__main__":
    sys.exit(main())
