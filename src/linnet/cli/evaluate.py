"""Bundle and split to report."""

import argparse

SUMMARY = "bundle and split to report"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""


def main(arguments: argparse.Namespace) -> None:
    """Run the command."""
    raise NotImplementedError
