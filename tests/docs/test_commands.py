"""Every command of README and of the task pages exists, and each that can run here runs."""

import ast
import contextlib
import dataclasses
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from linnet.cli.main import build_parser

from .pages import PAGES, Block, blocks, commands

# The hub can't be reached here, so the encoder in the package takes its place.
ELSEWHERE = {"distilbert-base-uncased": "linnet-mini"}
NAMES = ("linnet", "linnet.cli.main")
# What CI runs by itself, or what would change the environment that the tests run in.
NEVER = ("pip install", "make demo", "make test")
SECONDS = 300


def linnet_commands(block: Block) -> Iterator[list[str]]:
    """The arguments of each `linnet` of a block, without what follows a pipe or an arrow."""
    for command in commands(block):
        if not re.match(
            r"(linnet|torchrun|LINNET_\w+=|CUDA_\w+=|.*\| linnet|KEY=\$\(linnet)\b", command
        ):
            continue
        words = shlex.split(command.replace("KEY=$(", ""), comments=True)
        start = next(place for place, word in enumerate(words) if word in NAMES) + 1
        ends = [place for place, word in enumerate(words) if place > start and word in ("|", ">")]
        yield words[start : min(ends, default=len(words))]


ALL = [block for page in PAGES for block in blocks(page)]


@pytest.mark.parametrize("block", ALL, ids=lambda block: block.name)
def test_each_block_is_code_that_exists(block: Block):
    if block.language == "python":
        ast.parse(block.code)
        return
    done = subprocess.run(["bash", "-n"], input=block.code, text=True, capture_output=True)
    assert done.returncode == 0, done.stderr
    for arguments in linnet_commands(block):
        if "..." not in arguments and not arguments[0].startswith("$"):
            build_parser().parse_args(arguments)


def test_a_block_that_is_not_run_says_why():
    reasons = [block.reason for block in ALL if block.reason]
    assert all(len(reason.split()) >= 3 for reason in reasons)
    run = [block for block in ALL if not block.reason]
    assert len(run) > len(ALL) / 2


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


class Reader:
    """Does what the pages say, in one folder, and keeps one service running."""

    def __init__(self, folder: Path):
        self._folder = folder
        self._port = free_port()
        self._service: subprocess.Popen[bytes] | None = None
        bin_folder = Path(sys.executable).parent
        self._environment = os.environ | {
            "PATH": f"{bin_folder}:{os.environ['PATH']}",
            "LINNET_CACHE": str(folder / "cache"),
        }

    def follow(self, block: Block) -> None:
        if block.language == "python":
            self._run([sys.executable, "-c", block.code], block)
            return
        code = block.code.replace("localhost:8000", f"localhost:{self._port}")
        for name, other in ELSEWHERE.items():
            code = code.replace(name, other)
        if not re.search("^(linnet serve|pip |make )", code, re.MULTILINE):
            self._run(["bash", "-euo", "pipefail", "-c", code], block)
            return
        for command in commands(dataclasses.replace(block, code=code)):
            if command.startswith("linnet serve"):
                self._serve(command)
            elif not command.startswith(NEVER):
                self._run(["bash", "-euo", "pipefail", "-c", command], block)

    def stop(self) -> None:
        if self._service:
            self._service.send_signal(signal.SIGTERM)
            assert self._service.wait(40) == 0
            self._service = None

    def _serve(self, command: str) -> None:
        self.stop()
        words = [*shlex.split(command, comments=True), "--port", str(self._port)]
        self._service = subprocess.Popen(words, cwd=self._folder, env=self._environment)
        ready = (
            f"curl -sf --retry 60 --retry-delay 1 --retry-all-errors localhost:{self._port}/readyz"
        )
        subprocess.run(["bash", "-c", ready], check=True, capture_output=True)

    def _run(self, command: list[str], block: Block) -> None:
        done = subprocess.run(
            command,
            cwd=self._folder,
            env=self._environment,
            capture_output=True,
            text=True,
            timeout=SECONDS,
        )
        assert done.returncode == 0, f"{block.name}\n{block.code}\n{done.stdout}\n{done.stderr}"


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_a_reader_can_follow_all_pages(tmp_path: Path):
    reader = Reader(tmp_path)
    with contextlib.ExitStack() as stack:
        stack.callback(reader.stop)
        for page in PAGES:
            if page.name == "README.md":
                reader.stop()
                (tmp_path / "more.csv").write_bytes((tmp_path / "tweets.csv").read_bytes())
                # The README's run begins from nothing.
                if (tmp_path / "runs").exists():
                    (tmp_path / "runs").rename(tmp_path / "runs of the pages")
            for block in blocks(page):
                if not block.reason:
                    reader.follow(block)
