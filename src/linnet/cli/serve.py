"""Answer over HTTP with a bundle, once its digests and its proof have been verified."""

import argparse
import os
from pathlib import Path

from linnet.cli.options import add_config_options, config_from
from linnet.terminal import print_line

SUMMARY = "bundle to HTTP service"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    parser.add_argument(
        "bundle",
        type=Path,
        nargs="?",
        help="the bundle, such as runs/NAME/bundle; by default SageMaker's /opt/ml/model, served "
        "as SageMaker has it",
    )
    names = ("host", "port", "uds", "keys", "no_auth", "log_format")
    add_config_options(
        parser,
        *(f"serve.{name}" for name in names),
        "predict.engine",
        "predict.variant",
        "predict.num_threads",
    )


def main(arguments: argparse.Namespace) -> None:
    """Run the command."""
    from linnet.serve import serve
    from linnet.serve.routes import container

    if arguments.bundle is not None:
        serve(config_from(arguments), arguments.bundle)
        return
    folder = container.model_folder(os.environ)
    config = config_from(arguments, container.sagemaker_defaults(os.environ))
    print_line(container.explanation(folder, os.environ, config.serve), error=True)
    serve(config, folder)
