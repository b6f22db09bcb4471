"""What this process may use of the machine it runs on."""

import hashlib
import os
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from linnet.files import canonical_json

CGROUP_QUOTA = Path("/sys/fs/cgroup/cpu.max")
CPU_INFO = Path("/proc/cpuinfo")
# The instructions by which processors of one name differ in what is fast, or even right.
INSTRUCTIONS = (
    "avx2",
    "avx_vnni",
    "avx512f",
    "avx512_vnni",
    "avx512_bf16",
    "amx_int8",
    "amx_bf16",
    "asimddp",
    "i8mm",
)


@dataclass(frozen=True, slots=True)
class Host:
    """What a measurement of speed holds for.

    Attributes:
        described: `cpu`, `instructions`, `cores` (those this process may use), `machine`, and each
            engine's version.
    """

    described: dict[str, Any]

    @property
    def key(self) -> str:
        """A short name, equal for equal hosts."""
        return hashlib.sha256(canonical_json(self.described).encode()).hexdigest()[:16]

    def diff(self, other: Mapping[str, Any]) -> str:
        """How another host differs, in words."""
        differing = [name for name, value in self.described.items() if other.get(name) != value]
        return ", ".join(
            f"{name} there {other.get(name)!r}, here {self.described[name]!r}" for name in differing
        )


def this_host() -> Host:
    """The host that this process runs on."""
    return Host(
        {
            "cpu": cpu_model(),
            "instructions": cpu_instructions(),
            "cores": available_cores(),
            "machine": platform.machine(),
            "onnxruntime": _version("onnxruntime"),
            "openvino": _version("openvino"),
        }
    )


def available_cores() -> int:
    """Cores this process may use:

    its CPU affinity, and no more than its cgroup's quota, at least one.
    """
    cores = (
        len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    )
    quota = _cgroup_quota()
    return cores if quota is None else max(1, min(cores, int(quota)))


def cpu_model() -> str:
    """The processor's name, as Linux has it; elsewhere what Python knows of it."""
    return _cpu_info("model name") or platform.processor() or platform.machine()


def cpu_instructions() -> list[str]:
    """Those of `INSTRUCTIONS` that the processor has, as Linux has it; elsewhere none are known."""
    flags = set((_cpu_info("flags") or _cpu_info("Features")).split())
    return [name for name in INSTRUCTIONS if name in flags]


def _cpu_info(name: str) -> str:
    try:
        lines = CPU_INFO.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ""
    return next((line.partition(":")[2].strip() for line in lines if line.startswith(name)), "")


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _cgroup_quota() -> float | None:
    """Cores by the quota of cgroup version 2; None if there is none."""
    try:
        quota, period = CGROUP_QUOTA.read_text(encoding="ascii").split()
        return int(quota) / int(period)
    except (OSError, ValueError, ZeroDivisionError):  # no such file; or "max", which is no limit
        return None
