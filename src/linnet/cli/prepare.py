"""Raw file to audited splits."""

import argparse

SUMMARY = "raw file to audited splits"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""


def main(arguments: argparse.Namespace) -> None:
    """Run the command."""
    raise NotImplementedError
