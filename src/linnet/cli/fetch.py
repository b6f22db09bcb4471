"""Download a registered bundle and verify it: digests, proof, and that the gate let it pass.

No code of the store is run. Needs the extra `track`.
"""

import argparse
from pathlib import Path

from linnet.cli.options import add_config_options, config_from
from linnet.terminal import print_line

SUMMARY = "registered bundle to a verified folder"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    parser.add_argument(
        "model", metavar="NAME[@ALIAS|/VERSION]", help="the registered model (default: @champion)"
    )
    parser.add_argument(
        "--out", type=Path, default=Path("bundle"), metavar="DIR", help="bundle (default: bundle)"
    )
    parser.add_argument(
        "--unpromoted",
        action="store_true",
        help="take a champion that passed no gate, because somebody moved the alias by hand",
    )
    add_config_options(parser, "track.uri")


def main(arguments: argparse.Namespace) -> None:
    """Run the command."""
    from linnet.track.fetch import Wanted, fetch

    config = config_from(arguments)
    wanted = Wanted.parse(arguments.model)
    bundle, version = fetch(config.track, wanted, arguments.out, arguments.unpromoted)
    print_line(
        f"{bundle.path} holds version {version.number} of {version.name!r} ({bundle.digest[:12]})."
    )
