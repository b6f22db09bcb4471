"""The rules of a decision. The first that matches wins, as in the head of who is paged.

1. roll back: evidence of harm, in events or in pairs. Safety comes first.
2. invalid: the figures can't be trusted. Hold the ramp, promote nothing.
3. promote: the next step of the ramp. For the last step everything has to be shown.
4. retrain: the champion is right less often, or its texts changed and fresh labels are there.
5. keep, with what is missing for 3 and 4. Inconclusive keeps the champion.

Knows figures alone, no file. Equal inputs give equal decisions.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from linnet.monitor.decision.inputs import DRIFT, EXPERIMENT, Inputs, Settings
from linnet.monitor.experiment.guardrails import unshown_guardrails
from linnet.monitor.experiment.ramp import MISSING, SHOWN_LOG10
from linnet.monitor.experiment.report import judge

Verdict = Literal["keep", "retrain", "promote", "roll_back", "invalid"]
LOST = 0.01  # part of the log's records that may be lost
PAIRED_HARM_LOG10 = 2.0
STALE_BLOCKS = 2
RARE = 0.005  # part of a challenger's units with an event that is harmless whatever the champion's
LABELLED = {"audit", "disagree", "queue"}
DAY = 86_400

EVENTS = "equal arms have equal rates of first events of a unit"
DISTINCT = "labels of audits or disagreements, on distinct texts; a pending label counts against"


@dataclass
class Decision:
    """A verdict, and why."""

    verdict: Verdict = "keep"
    arm: str | None = None
    next_share: float | None = None
    reasons: list[dict[str, Any]] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)


def decide(inputs: Inputs, settings: Settings) -> Decision:
    """The first rule that matches.

    Args:
        inputs: What is known.
        settings: Limits and margins.
    """
    statistics = inputs.experiment
    found = {}
    if statistics:
        found = {
            name: judge(counts, statistics.horizon, settings.experiment)
            for name, counts in sorted(statistics.challengers.items())
        }
    missing: list[str] = []
    decision = _roll_back(inputs, found) or _invalid(inputs, found)
    for name, one in found.items():
        if not decision:
            decision = _promote(inputs, settings, name, one, missing)
    decision = decision or _retrain(inputs, settings, missing)
    if decision:
        return decision
    if not statistics:
        missing.append("There is no experiment.json. `linnet experiment LOG` writes it.")
    elif not found:
        missing.append("There is no challenger and no shadow to compare with the champion.")
    return Decision(missing=missing)


def _roll_back(inputs: Inputs, found: Mapping[str, Any]) -> Decision | None:
    for name, one in found.items():
        if one["role"] == "challenger" and not one["share"] > 0:
            continue  # it was rolled back already
        reasons = []
        if one["harm_evidence_log10"] >= one["harm_limit_log10"]:
            worst = max(one["guardrails"].items(), key=lambda pair: pair[1]["evidence_log10"])
            rule = f"{name} harms, most in {worst[0]}"
            limit = one["harm_limit_log10"]
            evidence = one["harm_evidence_log10"]
            reasons.append(_reason(inputs, rule, worst[1]["ratio"], limit, evidence, EVENTS))
        paired = one["paired"]
        if paired and paired["harm_log10"] >= PAIRED_HARM_LOG10:
            rule = f"{name} is right less often"
            evidence = paired["harm_log10"]
            reasons.append(
                _reason(inputs, rule, paired["difference"], PAIRED_HARM_LOG10, evidence, DISTINCT)
            )
        if reasons:
            return Decision("roll_back", name, 0.0, reasons)
    return None


def _invalid(inputs: Inputs, found: Mapping[str, Any]) -> Decision | None:
    statistics = inputs.experiment
    if not statistics or not found:
        return None
    reasons = []
    arm = None
    for name, one in found.items():
        ratio = one["ratio"]
        if ratio["mismatch"]:
            arm = arm or name
            rule = f"units do not fall to {name} as asked ({ratio['asked']:g})"
            evidence = ratio["evidence_log10"]
            limit = ratio["limit_log10"]
            reasons.append(
                _reason(inputs, rule, ratio["seen"], limit, evidence, "each unit counts once")
            )
    if statistics.log_share > LOST:
        share = round(statistics.log_share, 6)
        assumption = "records are lost under load, so not at random"
        reasons.append(_reason(inputs, "the log lost records", share, LOST, None, assumption))
    if statistics.missing_share > MISSING:
        share = round(statistics.missing_share, 6)
        reasons.append(
            _reason(inputs, "pairs are missing", share, MISSING, None, "slow texts miss first")
        )
    drift = inputs.drift
    if drift and drift.settled_until and drift.block_seconds and statistics.horizon:
        behind = round((drift.settled_until - statistics.horizon) / drift.block_seconds, 4)
        if behind > STALE_BLOCKS:
            rule = "experiment.json is older than drift.json, in blocks"
            reasons.append(_reason(inputs, rule, behind, STALE_BLOCKS, None, "both are of one log"))
    return Decision("invalid", arm, None, reasons) if reasons else None


def _promote(
    inputs: Inputs, settings: Settings, name: str, one: Mapping[str, Any], missing: list[str]
) -> Decision | None:
    ramp = one["ramp"]
    following = ramp["next"]
    if following is None:
        if one["share"] >= 1:
            missing.append(f"{name} has all of the traffic. Serve it as the champion.")
        return None
    wanted: list[str] = []
    reasons: list[dict[str, Any]] = []
    _gate(inputs, name, one, wanted, reasons)
    _accuracy(inputs, settings, name, one, wanted, reasons)
    _conditions(inputs, name, one, wanted, reasons)
    if following >= settings.experiment.ramp[-1]:
        _last_step(inputs, settings, name, one, wanted, reasons)
    if not wanted:
        return Decision("promote", name, following, reasons)
    missing.extend(wanted)
    return None


def _gate(
    inputs: Inputs, name: str, one: Mapping[str, Any], wanted: list[str], reasons: list[Any]
) -> None:
    proof = inputs.proofs.get(one["digest"])
    if proof is None:
        wanted.append(f"Name the bundle {one['digest'][:12]} of {name} with --proof.")
    elif proof.failed:
        wanted.append(f"The proof of {name} failed in {', '.join(proof.failed)}.")
    else:
        rule = f"the gate of export passed {name}"
        reason = _reason(inputs, rule, proof.accuracy, None, None, "validation rows")
        reasons.append({**reason, "file": "proof.json", "digest": proof.file})


def _accuracy(
    inputs: Inputs,
    settings: Settings,
    name: str,
    one: Mapping[str, Any],
    wanted: list[str],
    reasons: list[Any],
) -> None:
    margin = settings.experiment.margin
    points = f"{100 * margin:g} points"
    paired = one["paired"]
    split = one["split_accuracy"]
    rule = f"{name} is right no less often, by {points}"
    if paired and paired["non_inferiority_log10"] >= SHOWN_LOG10:
        evidence = paired["non_inferiority_log10"]
        reasons.append(_reason(inputs, rule, paired["difference"], -margin, evidence, DISTINCT))
    elif split and split["difference"][0] > -margin:
        assumption = "audits of both arms are drawn at random"
        reasons.append(_reason(inputs, rule, split["difference"][0], -margin, None, assumption))
    elif not paired:
        wanted.append(
            f"{name} has no pairs. Serve it as a shadow until it is shown to be no worse."
        )
    elif paired["labels_needed"] is None:
        wanted.append(
            f"No number of labels would show at the present rate that {name} is no worse by "
            f"{points}: the difference is {100 * paired['difference']:+.2f} points."
        )
    else:
        wanted.append(
            f"{paired['labels_needed']:,} more labelled disagreements would show at the present "
            f"rate that {name} is no worse by {points}; {paired['pending']:,} wait for a label."
        )


def _conditions(
    inputs: Inputs, name: str, one: Mapping[str, Any], wanted: list[str], reasons: list[Any]
) -> None:
    for condition in one["ramp"]["conditions"]:
        value = condition["value"]
        needed = condition["needed"]
        if condition["met"]:
            reasons.append(
                _reason(inputs, f"{name}: {condition['name']}", value, needed, None, None)
            )
        elif condition["name"] == "units at this share":
            wanted.append(
                f"{needed - value:,} more units of {name} at its present share ({value:,} of "
                f"{needed:,})."
            )
        elif condition["name"] == "hours at this share":
            wanted.append(f"{needed - value:.1f} more hours of {name} at its present share.")
        elif condition["name"] == "no open guardrail":
            kinds = [
                f"{kind} ({guardrail['evidence_log10']:.2f})"
                for kind, guardrail in one["guardrails"].items()
                if guardrail["evidence_log10"] >= SHOWN_LOG10
            ]
            wanted.append(
                f"{name} may harm in {', '.join(kinds)}: evidence of {SHOWN_LOG10:.2f} or more "
                "(log10) holds the step."
            )
        elif condition["name"] == "has a share":
            wanted.append(f"{name} has no share. It was rolled back, or gets no traffic.")
        # The others have sentences of their own.


def _last_step(
    inputs: Inputs,
    settings: Settings,
    name: str,
    one: Mapping[str, Any],
    wanted: list[str],
    reasons: list[Any],
) -> None:
    margin = settings.experiment.guardrail_margin
    unshown = unshown_guardrails(one["guardrails"], margin, RARE)
    for kind, guardrail in one["guardrails"].items():
        if kind in unshown:
            high = unshown[kind]
            most = "of any size" if high is None else f"up to {high:.2f}"
            events = guardrail["challenger"]["events"] + guardrail["champion"]["events"]
            wanted.append(
                f"The ratio of {kind} of {name} may be {most} after {events:,} events. It must be "
                f"below {margin:g}, or below {RARE:.1%} of the units."
            )
        elif kind not in {"reported_wrong", "any_feedback"}:
            rule = f"{name} has no more {kind} than allowed"
            reasons.append(_reason(inputs, rule, guardrail["high"], margin, None, EVENTS))
    paired = one["paired"]
    better = paired and paired["better_log10"] >= SHOWN_LOG10
    if better or settings.reason:
        rule = f"{name} is right more often" if better else f"stated reason: {settings.reason}"
        evidence = paired["better_log10"] if paired else None
        difference = paired["difference"] if paired else None
        reasons.append(_reason(inputs, rule, difference, 0.0, evidence, DISTINCT))
    else:
        wanted.append(
            f"{name} is not shown to be better than the champion. Say with --reason why it may "
            "replace it, such as: it is cheaper."
        )


def _retrain(inputs: Inputs, settings: Settings, missing: list[str]) -> Decision | None:
    drift = inputs.drift
    if not drift:
        missing.append("There is no drift.json. `linnet monitor LOG BUNDLE` writes it.")
        return None
    reasons = []
    proof = inputs.proofs.get(drift.digest or "")
    if drift.accuracy and proof and proof.accuracy is not None:
        allowed = proof.accuracy - settings.experiment.margin
        if drift.accuracy[1] < allowed:
            rule = "the champion is right less often than in its proof"
            assumption = f"{drift.accuracy[2]:,} audited texts, drawn at random; 5 % false"
            reason = _reason(
                inputs, rule, drift.accuracy[1], round(allowed, 6), SHOWN_LOG10, assumption
            )
            reasons.append({**reason, "file": DRIFT, "digest": inputs.files.get(DRIFT)})
    elif drift.accuracy and not proof:
        missing.append("Name the champion's bundle with --proof to compare its accuracy.")
    if drift.alarms:
        since = min(alarm.since for alarm in drift.alarms)
        fresh = _fresh_labels(inputs, since)
        names = ", ".join(sorted(alarm.stream for alarm in drift.alarms))
        if fresh >= settings.fresh_labels:
            evidence = max(alarm.evidence_log10 or 0.0 for alarm in drift.alarms)
            rule = f"the texts changed ({names}), and there are labels of them"
            reason = _reason(
                inputs, rule, fresh, settings.fresh_labels, evidence, "labels of that day count"
            )
            reasons.append({**reason, "file": DRIFT, "digest": inputs.files.get(DRIFT)})
        else:
            missing.append(
                f"{settings.fresh_labels - fresh:,} more labels of texts since the alarm of "
                f"{names} ({fresh:,} of {settings.fresh_labels:,}) would be enough to retrain. "
                "`linnet queue` says which."
            )
    if not reasons:
        return None
    rows = sum(count for _, source, count in _labels(inputs) if source in LABELLED)
    return Decision(
        "retrain",
        "champion",
        None,
        reasons,
        [f"Add the {rows:,} labels of the log: `linnet labels LOG --export FILE`, then train."],
    )


def _labels(inputs: Inputs) -> list[tuple[int, str, int]]:
    return inputs.experiment.labels if inputs.experiment else []


def _fresh_labels(inputs: Inputs, since: float) -> int:
    return sum(
        count
        for day, source, count in _labels(inputs)
        if source in LABELLED and day >= since // DAY * DAY
    )


def _reason(
    inputs: Inputs,
    rule: str,
    measured: float | None,
    threshold: float | None,
    evidence_log10: float | None,
    assumption: str | None,
) -> dict[str, Any]:
    return {
        "rule": rule,
        "measured": measured,
        "threshold": threshold,
        "evidence_log10": evidence_log10,
        "assumption": assumption,
        "file": EXPERIMENT,
        "digest": inputs.files.get(EXPERIMENT),
    }
