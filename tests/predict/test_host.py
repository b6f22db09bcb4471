"""What of the machine a process may use."""

import os
from pathlib import Path

import pytest

from linnet.predict import host


def test_affinity_bounds_the_cores(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(host, "CGROUP_QUOTA", tmp_path / "none")
    assert host.available_cores() == len(os.sched_getaffinity(0))


@pytest.mark.parametrize(
    ("content", "cores"),
    [
        ("200000 100000\n", 2),
        ("350000 100000\n", 3),
        ("50000 100000\n", 1),
        ("6400000 100000\n", 8),
        ("max 100000\n", 8),
        ("", 8),
        ("nonsense\n", 8),
        ("100000 0\n", 8),
    ],
)
def test_quota_bounds_the_cores(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, content: str, cores: int
) -> None:
    (tmp_path / "cpu.max").write_text(content)
    monkeypatch.setattr(host, "CGROUP_QUOTA", tmp_path / "cpu.max")
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)))
    assert host.available_cores() == cores


def test_cpu_model(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "cpuinfo").write_text(
        "processor\t: 0\nmodel name\t: Fast: 3000\nmodel name\t: Fast: 3000\n"
    )
    monkeypatch.setattr(host, "CPU_INFO", tmp_path / "cpuinfo")
    assert host.cpu_model() == "Fast: 3000"
    monkeypatch.setattr(host, "CPU_INFO", tmp_path / "none")
    assert host.cpu_model()
