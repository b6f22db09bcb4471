"""Checkpoint to proven bundle."""

import argparse

SUMMARY = "checkpoint to proven bundle"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""


def main(arguments: argparse.Namespace) -> None:
    """Run the command."""
    raise NotImplementedError
