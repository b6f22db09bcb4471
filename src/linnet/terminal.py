"""Lines on a terminal, printed as they are: nothing in them is markup or a control sequence.

A terminal whose encoding lacks a character shows an escape, never a traceback. Tables are in
`linnet.cli.tables`.
"""

import os
import sys

from linnet.printable import ERRORS, printable


def open_streams() -> None:
    """Make the standard streams ready:

    escape what their encoding lacks, replace the closed ones.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        stream = getattr(sys, name)
        if (
            stream is None
        ):  # closed by the caller, as `>&-` does; the next file must not take its place
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115, PTH123
        elif name != "stdin" and hasattr(stream, "reconfigure"):
            stream.reconfigure(errors=ERRORS)


def print_line(text: str = "", *, error: bool = False) -> None:
    """Print a text on standard output, or on standard error; its own line ends stay."""
    print(printable(text), file=sys.stderr if error else sys.stdout, flush=error)
