"""How a bundle is run on this host: the choice of `linnet optimize`, or the default.

The choices are in the bundle's host.json, one for each host that was measured. They are no part of
what the bundle's digest covers, and can only name what its manifest has proof of.
"""

import json
import logging
import shlex
from contextlib import suppress
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from typing import Any

from linnet.bundle import DEFAULT_ENGINE, FLOAT32, HOST, Bundle
from linnet.errors import BundleError
from linnet.files import canonical_json, write_text
from linnet.predict.host import Host, this_host

FORMAT = 1
MAX_BATCH_TOKENS = 512
MOST_THREADS = 1024

logger = logging.getLogger("linnet.predict")


@dataclass(frozen=True, slots=True)
class Plan:
    """How to run a bundle.

    Attributes:
        engine: "onnxruntime" or "openvino".
        variant: A key of the manifest's `models`.
        num_threads: Threads of one batch; 0: the cores that this process may use, shared among the
            sessions.
        num_sessions: Batches of a list that are computed at once.
        max_batch_tokens: Tokens in one batch, padding included.
    """

    engine: str = DEFAULT_ENGINE
    variant: str = FLOAT32
    num_threads: int = 0
    num_sessions: int = 1
    max_batch_tokens: int = MAX_BATCH_TOKENS

    def __str__(self) -> str:
        """In words."""
        threads = str(self.num_threads) if self.num_threads else "all cores"
        return (
            f"{self.variant} in {self.engine} (sessions: {self.num_sessions}, threads: {threads}, "
            f"tokens per batch: {self.max_batch_tokens})"
        )


@dataclass(frozen=True, slots=True)
class Choice:
    """A plan, and why it is this one, in a sentence without its full stop."""

    plan: Plan
    reason: str


def choose_plan(
    bundle: Bundle,
    engine: str = "auto",
    variant: str = "auto",
    num_threads: int = 0,
    num_sessions: int = 0,
    max_batch_tokens: int = 0,
) -> Choice:
    """How to run a bundle; "auto" and 0 leave a part to the choice for this host.

    A choice for another engine or variant than asked for says nothing of its threads, and is not
    used. Without a choice it is float32 in ONNX Runtime, whose parity with torch was proven:
    nothing else is known to be faster here.

    Raises:
        BundleError: host.json is broken, or the variant isn't in the bundle.
    """
    measured, reason = _measured(bundle)
    if measured and engine in ("auto", measured.engine) and variant in ("auto", measured.variant):
        plan = measured
    else:
        reason = "as asked" if measured else reason
        plan = _default(bundle, engine, variant)
    asked = {
        "num_threads": num_threads,
        "num_sessions": num_sessions,
        "max_batch_tokens": max_batch_tokens,
    }
    given = {name: value for name, value in asked.items() if value}
    return Choice(
        Plan(**asdict(plan) | given),
        f"{reason}, with {_listed(given)} as asked" if given else reason,
    )


def record(bundle: Bundle, plan: Plan, details: dict[str, Any], host: Host) -> dict[str, Any]:
    """Add the choice for a host to host.json; choices of other hosts stay.

    They are dropped if they are of another bundle.

    Args:
        bundle: Where to write.
        plan: The choice.
        details: What else there is to say of it, with its `goal`.
        host: The host.

    Returns:
        What host.json now says of the host.

    Raises:
        StorageError: The disk refused the write.
    """
    known = None
    with suppress(BundleError):  # one that is broken is replaced
        known = _read(bundle)
    hosts = known["hosts"] if known and known["bundle"] == bundle.digest else {}
    now = datetime.now(UTC).isoformat(timespec="seconds")
    hosts[host.key] = {"host": host.described, "measured": now, "plan": asdict(plan), **details}
    write_text(
        bundle.path / HOST,
        canonical_json({"format": FORMAT, "bundle": bundle.digest, "hosts": hosts}),
    )
    entry: dict[str, Any] = hosts[host.key]
    return entry


def measured_here(bundle: Bundle) -> dict[str, Any] | None:
    """What host.json says of this host; None where it says nothing that holds for this bundle."""
    with suppress(BundleError):
        known = _read(bundle)
        if known and known["bundle"] == bundle.digest:
            entry: dict[str, Any] | None = known["hosts"].get(this_host().key)
            return entry
    return None


def _measured(bundle: Bundle) -> tuple[Plan | None, str]:
    """The plan that was measured on this host, and why it is, or is not, used."""
    file = bundle.path / HOST
    known = _read(bundle)
    host = this_host()
    advice = f"`linnet optimize {shlex.quote(str(bundle.path))}` finds the fastest"
    if known is None:
        return None, f"the default, as nothing was measured on this host; {advice}"
    if known["bundle"] != bundle.digest:
        logger.warning("%s is ignored: it was measured with another bundle. %s", file, advice)
        return None, f"the default, as {HOST} is of another bundle; {advice}"
    entry = known["hosts"].get(host.key)
    if entry is None:
        strangers = "; ".join(host.diff(other["host"]) for other in known["hosts"].values())
        logger.warning(
            "%s is ignored: it was measured on another host (%s). %s", file, strangers, advice
        )
        return None, f"the default, as {HOST} is of another host ({strangers}); {advice}"
    plan = _parse_plan(bundle, entry["plan"])
    return plan, f"measured on this host at {entry['measured']} for {entry['goal']}"


def _default(bundle: Bundle, engine: str, variant: str) -> Plan:
    if variant == "auto":
        return Plan(engine=DEFAULT_ENGINE if engine == "auto" else engine)
    if engine == "auto":
        bundle.model_path(variant, bundle.manifest.engines.get(variant, (DEFAULT_ENGINE,))[0])
        engine = bundle.manifest.engines[variant][0]
    return Plan(engine=engine, variant=variant)


def _read(bundle: Bundle) -> dict[str, Any] | None:
    file = bundle.path / HOST
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        if content["format"] > FORMAT:
            raise BundleError(
                f"{file} is of format {content['format']}; this Linnet reads up to {FORMAT}. "
                f"Upgrade Linnet."
            )
        texts = [
            content["bundle"],
            *(entry[key] for entry in content["hosts"].values() for key in ("measured", "goal")),
        ]
        hosts = [entry["host"] for entry in content["hosts"].values()]
        if not all(isinstance(text, str) for text in texts) or not all(
            isinstance(host, dict) for host in hosts
        ):
            raise TypeError("expected a bundle, and hosts with host, measured and goal")
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise _broken(bundle, f"{type(error).__name__}: {error}") from error
    return dict(content)


def _parse_plan(bundle: Bundle, content: Any) -> Plan:
    kinds = {field.name: type(field.default) for field in fields(Plan)}
    if (
        not isinstance(content, dict)
        or {name: type(value) for name, value in content.items()} != kinds
    ):
        raise _broken(bundle, f"expected a plan of {', '.join(kinds)}, got {content!r:.200}")
    plan = Plan(**content)
    numbers = plan.num_threads, plan.num_sessions, plan.max_batch_tokens
    if min(numbers) < 1 or max(numbers[:2]) > MOST_THREADS:
        raise _broken(
            bundle,
            f"expected numbers from 1 on, and up to {MOST_THREADS} threads; got {content!r:.200}",
        )
    bundle.model_path(plan.variant, plan.engine)
    return plan


def _broken(bundle: Bundle, reason: str) -> BundleError:
    return BundleError(
        f"{bundle.path / HOST} can't be used: {reason}. "
        f"`linnet optimize {shlex.quote(str(bundle.path))}` writes it again."
    )


def _listed(given: dict[str, int]) -> str:
    return ", ".join(f"{name} {value}" for name, value in given.items())
