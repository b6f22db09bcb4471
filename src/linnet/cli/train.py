"""Splits to checkpoint."""

import argparse

SUMMARY = "splits to checkpoint"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""


def main(arguments: argparse.Namespace) -> None:
    """Run the command."""
    raise NotImplementedError
