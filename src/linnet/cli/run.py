"""Prepare, train, export and evaluate in one go."""

import argparse

SUMMARY = "prepare, train, export and evaluate in one go"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""


def main(arguments: argparse.Namespace) -> None:
    """Run the command."""
    raise NotImplementedError
