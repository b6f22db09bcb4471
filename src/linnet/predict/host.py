"""What this process may use of the machine it runs on."""

import os
import platform
from pathlib import Path

CGROUP_QUOTA = Path("/sys/fs/cgroup/cpu.max")
CPU_INFO = Path("/proc/cpuinfo")


def available_cores() -> int:
    """Cores this process may use: its CPU affinity, and no more than its cgroup's quota, at least one."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = _cgroup_quota()
    return cores if quota is None else max(1, min(cores, int(quota)))


def cpu_model() -> str:
    """The processor's name, as Linux has it; elsewhere what Python knows of it."""
    try:
        lines = CPU_INFO.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, "") or platform.processor() or platform.machine()


def _cgroup_quota() -> float | None:
    """Cores by the quota of cgroup version 2 (`QUOTA PERIOD` in microseconds); None where there is none."""
    try:
        quota, period = CGROUP_QUOTA.read_text(encoding="ascii").split()
        return int(quota) / int(period)
    except (OSError, ValueError, ZeroDivisionError):  # no such file; or "max", which is no limit
        return None
