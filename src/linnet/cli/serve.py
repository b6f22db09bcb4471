"""Answer over HTTP with a bundle, once its digests and its proof have been verified."""

import argparse
from pathlib import Path

from linnet.cli.options import add_config_options, config_from

SUMMARY = "bundle to HTTP service"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    parser.add_argument("bundle", type=Path, help="the bundle, such as runs/NAME/bundle")
    names = ("host", "port", "keys", "no_auth", "log_format")
    add_config_options(
        parser,
        *(f"serve.{name}" for name in names),
        "predict.engine",
        "predict.variant",
        "predict.num_threads",
    )


def main(arguments: argparse.Namespace) -> None:
    """Run the command."""
    config = config_from(arguments)
    from linnet.serve import serve

    serve(config, arguments.bundle)
