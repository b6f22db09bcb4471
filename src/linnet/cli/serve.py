"""Bundle to HTTP service."""

import argparse

SUMMARY = "bundle to HTTP service"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""


def main(arguments: argparse.Namespace) -> None:
    """Run the command."""
    raise NotImplementedError
