"""Where a result came from: versions, host, and the git commit of the project it was made in."""

import os
import platform
import subprocess
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

PACKAGES = (
    "linnet-text",
    "torch",
    "transformers",
    "tokenizers",
    "onnx",
    "onnxruntime",
    "openvino",
    "nncf",
    "numpy",
)
# DVC writes its lock file after each stage of a pipeline: it is a result, such as the metrics.
NOT_SOURCE = (":/", ":(top,exclude,glob)**/dvc.lock", ":(top,exclude,glob)**/report/metrics.json")


def lineage(directory: Path | None = None) -> dict[str, Any]:
    """Describe this moment: time, host, package versions, git state.

    Args:
        directory: The project the work belongs to; the current folder by default.

    Returns:
        `created` (ISO 8601, UTC), `python`, `platform`, `cpu_count` (of this process), `packages`
        (name to version, those installed), and `git` with `commit`, `branch` and `dirty`, or None
        where the folder is not in a git repository. The lock file and the metrics that a pipeline
        writes do not count as dirty.
    """
    return {
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "cpu_count": len(os.sched_getaffinity(0))
        if hasattr(os, "sched_getaffinity")
        else os.cpu_count(),
        "packages": _versions(),
        "git": _git_state(directory or Path.cwd()),
    }


def _versions() -> dict[str, str]:
    found = {}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def _git_state(directory: Path) -> dict[str, Any] | None:
    commit = _git(directory, "rev-parse", "HEAD")
    if commit is None:
        return None
    return {
        "commit": commit,
        "branch": _git(directory, "rev-parse", "--abbrev-ref", "HEAD"),
        "dirty": bool(_git(directory, "status", "--porcelain", "--", *NOT_SOURCE)),
    }


def _git(directory: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", *arguments], cwd=directory, capture_output=True, text=True, timeout=10
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
