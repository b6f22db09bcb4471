"""The memory of a model, measured at its largest batch in its own process, and the limit.

Counted is private memory that may be written to (VmData of proc(5)), as the kernel limits that
(RLIMIT_DATA), or what was in memory at most (VmHWM) where that is more. Address space (RLIMIT_AS)
would not do: engines map files and reserve addresses far beyond what they use. Linux only.
"""

import json
import os
import resource
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from linnet.bundle import Bundle
from linnet.predict.plan import Plan, measured_here
from linnet.predict.runner import Runner

STATUS = Path("/proc/self/status")
KINDS = ("VmData:", "VmHWM:")
PROGRAM = (
    "import sys; from linnet.child import end_with_parent; end_with_parent(int(sys.argv[1])); "
    "from linnet.predict.peak import main; main()"
)
SECONDS = 600  # that a measurement may take
MEBIBYTE = 1 << 20

# A limit is generous: it is to stop what grows without end, and never a batch that is only unusual.
FACTOR = 2
OTHER_ENGINE = 2  # times as much again where it was measured with another engine
HEADROOM_BYTES = 1 << 30
# NumPy's products keep threads and buffers for each core, and the measuring host may have had
# fewer.
CORE_BYTES = 64 * MEBIBYTE


@dataclass(frozen=True, slots=True)
class Peak:
    """Memory of one process that holds a model.

    Attributes:
        engine: The engine that computed.
        batch_tokens: Tokens of the largest batch.
        loaded_bytes: After loading.
        peak_bytes: After the largest batch.
    """

    engine: str
    batch_tokens: int
    loaded_bytes: int
    peak_bytes: int


def measure_peak(
    graphs: Sequence[tuple[Path, Plan]], max_length: int, token_id: int
) -> Peak | None:
    """Load graphs, and compute the largest batch of each.

    Args:
        graphs: The graphs that one process holds, and how each is run, the full model's first.
        max_length: Tokens of the longest text.
        token_id: An id that every graph knows, which all texts are made of.

    Returns:
        The memory; None if it can't be measured here.
    """
    if not STATUS.is_file():
        return None
    plans = [(os.path.abspath(path), asdict(plan)) for path, plan in graphs]
    order = {"graphs": plans, "max_length": max_length, "token_id": token_id}
    try:
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM, str(os.getpid())],
            input=json.dumps(order),
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None  # nothing is refused for lack of this figure
    return Peak(**json.loads(done.stdout))


def main() -> None:
    """Measure what standard input asks for; the answer goes to standard output."""
    order = json.load(sys.stdin)
    token = order["token_id"]
    length = order["max_length"]
    graphs = [(Path(path), Plan(**plan)) for path, plan in order["graphs"]]
    runners = [Runner(path, plan, token, token) for path, plan in graphs]
    loaded = _bytes_now()
    for runner in runners:
        rows = max(1, runner.plan.max_batch_tokens // length)
        for _ in range(2):
            runner.logits([[token] * length] * rows)
    plan = graphs[0][1]
    tokens = _batch_tokens(plan, length)
    json.dump(asdict(Peak(plan.engine, tokens, loaded, _bytes_now())), sys.stdout)


def limit_bytes(bundle: Bundle, plan: Plan, asked_mb: int) -> int | None:
    """The memory that a process with a bundle may take, in bytes; None: any.

    Args:
        bundle: A verified bundle.
        plan: How it is run, by one session.
        asked_mb: In MiB; 0: by what was measured, without which there is no limit; -1: no limit.
    """
    if asked_mb:
        return None if asked_mb < 0 else asked_mb * MEBIBYTE
    here = (measured_here(bundle) or {}).get("memory")
    peaks = [peak for stored in (here, bundle.proof.get("memory")) if (peak := _parse(stored))]
    if not peaks:
        return None
    peak = next((peak for peak in peaks if peak.engine == plan.engine), peaks[0])
    rise = _batch_tokens(plan, bundle.manifest.max_length) / peak.batch_tokens
    computing = (peak.peak_bytes - peak.loaded_bytes) * max(1.0, rise)
    factor = FACTOR if peak.engine == plan.engine else FACTOR * OTHER_ENGINE
    cores = max(plan.num_threads, os.cpu_count() or 1)
    return int(factor * (peak.loaded_bytes + computing)) + cores * CORE_BYTES + HEADROOM_BYTES


def limit_memory(limit: int) -> None:
    """Have the system refuse this process more than so many bytes; it then raises MemoryError.

    Linux only.
    """
    if sys.platform == "linux":
        _, highest = resource.getrlimit(resource.RLIMIT_DATA)
        if highest != resource.RLIM_INFINITY:
            limit = min(limit, highest)
        resource.setrlimit(resource.RLIMIT_DATA, (limit, highest))


def _batch_tokens(plan: Plan, max_length: int) -> int:
    """Tokens of the largest batch: a text that is longer than a batch may be goes alone."""
    return max(plan.max_batch_tokens // max_length, 1) * max_length


def _bytes_now() -> int:
    lines = STATUS.read_text(encoding="ascii", errors="replace").splitlines()
    return max(int(line.split()[1]) * 1024 for line in lines if line.startswith(KINDS))


def _parse(content: Any) -> Peak | None:
    """A figure of proof.json or host.json; None where there is none, or nonsense."""
    if not isinstance(content, Mapping):
        return None
    numbers = [content.get(name) for name in ("batch_tokens", "loaded_bytes", "peak_bytes")]
    if not all(type(number) is int and number > 0 for number in numbers):
        return None
    tokens, loaded, peak = (int(number or 0) for number in numbers)
    return Peak(str(content.get("engine")), tokens, min(loaded, peak), peak)
