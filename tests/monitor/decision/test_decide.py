"""Rules, record and replay of a decision."""

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from linnet.config import load_config
from linnet.errors import DataError, UsageError
from linnet.files import canonical_json
from linnet.monitor.decision import (
    Inputs,
    Settings,
    check,
    decide,
    decision_json,
    read_inputs,
    write_decision,
)
from linnet.monitor.decision.inputs import Alarm, Drift, Proof
from linnet.monitor.experiment import Audited, Challenger, Pairs, Statistics

CHAMPION = "a" * 64
CANDIDATE = "b" * 64
START = 1_760_000_000.0
HOUR = 3600.0
GOOD = Pairs(same=9_000, better=200, worse=80, expected=9_280)
VERSIONS = {"linnet": "0.1.0"}


def challenger(**changes: Any) -> Challenger:
    values: dict[str, Any] = {"digest": CANDIDATE, "role": "challenger", "share": 0.05}
    values |= {"began": START, "step_began": START, "step_units": 2_000, "texts": 4_000}
    values |= {"units": 2_000, "champion_units": 38_000, "pairs": GOOD}
    values |= {"assigned": [(0.05, 38_000, 2_000)], "answered": [(0.05, 38_000, 2_000)]}
    return Challenger(**values | changes)


def known(changes: dict[str, Any] | None = None, **more: Any) -> Inputs:
    """What would promote to the next step."""
    statistics: dict[str, Any] = {"experiment": "test", "champion": CHAMPION, "rows": 50_000}
    statistics |= {"horizon": START + 30 * HOUR, "began": START, "slow_ms": 50.0}
    statistics |= {"challengers": {"candidate": challenger()}}
    values: dict[str, Any] = {"experiment": Statistics(**statistics | (changes or {}))}
    values |= {"drift": Drift(digest=CHAMPION, settled_until=START + 30 * HOUR, block_seconds=HOUR)}
    values |= {"proofs": {CANDIDATE: Proof(file="e" * 64, failed=[], accuracy=0.9)}}
    values |= {"files": {"drift.json": "d" * 64, "experiment.json": "f" * 64}}
    return Inputs(**values | more)


def with_candidate(**changes: Any) -> Inputs:
    return known({"challengers": {"candidate": challenger(**changes)}})


@pytest.fixture
def settings() -> Callable[..., Settings]:
    def make(**changes: Any) -> Settings:
        return Settings(experiment=load_config(None, []).experiment, **changes)

    return make


HARMED = {"events": {"failures": [(0.05, 10, 30)]}}


@pytest.mark.parametrize(
    ("inputs", "verdict", "said"),
    [
        (known(), "promote", "gate of export passed"),
        (with_candidate(**HARMED), "roll_back", "harms, most in failures"),
        (with_candidate(pairs=Pairs(same=500, worse=90)), "roll_back", "right less often"),
        (with_candidate(**HARMED, assigned=[(0.05, 38_000, 3_000)]), "roll_back", "harms"),
        (with_candidate(assigned=[(0.05, 38_000, 3_000)]), "invalid", "do not fall"),
        (known({"lost": 600}), "invalid", "log lost"),
        (with_candidate(pairs=Pairs(same=9_000, better=99, expected=10_000, missing=901)), "invalid", "pairs"),
        (known({"horizon": START + 27 * HOUR}), "invalid", "older than drift.json"),
        (known(proofs={}), "keep", "--proof"),
        (known(proofs={CANDIDATE: Proof(file="e", failed=["parity"], accuracy=0.9)}), "keep", "failed in parity"),
        (with_candidate(step_units=380), "keep", "620 more units"),
        (known({"horizon": START + 20 * HOUR}, drift=None), "keep", "4.0 more hours"),
        (with_candidate(pairs=Pairs(same=3_000, better=90, worse=90)), "keep", "more labelled disagreements"),
        (with_candidate(pairs=Pairs(same=300, better=9, worse=24)), "keep", "No number of labels"),
        (with_candidate(pairs=None), "keep", "has no pairs"),
        (with_candidate(share=0.5, pairs=Pairs(same=20_000, better=99, worse=99)), "keep", "is not shown to be"),
        (with_candidate(share=0.0, **HARMED), "keep", "has no share"),
        (with_candidate(events={"failures": [(0.05, 20, 6)]}), "keep", "may harm in failures"),
        (known({"challengers": {}}), "keep", "no challenger"),
        (Inputs(drift=Drift()), "keep", "no experiment.json"),
    ],
)  # fmt: skip
def test_the_first_rule_that_matches_wins(
    inputs: Inputs, verdict: str, said: str, settings: Callable[..., Settings]
):
    decision = decide(inputs, settings())
    assert decision.verdict == verdict
    rules = [reason["rule"] for reason in decision.reasons]
    assert any(said in sentence for sentence in [*rules, *decision.missing]), (
        rules,
        decision.missing,
    )


def test_the_next_share_is_that_of_the_ramp(settings: Callable[..., Settings]):
    assert decide(known(), settings()).next_share == 0.2
    shadow = with_candidate(role="shadow", share=1.0, assigned=[], answered=[])
    assert decide(shadow, settings()).next_share == 0.01


def test_the_last_step_asks_for_all_guardrails_and_a_reason(settings: Callable[..., Settings]):
    rare = {"share": 0.5, "assigned": [(0.5, 9_000, 9_000)], "answered": [(0.5, 9_000, 9_000)]}
    rare |= {"units": 9_000, "champion_units": 9_000, "step_units": 9_000}
    assert decide(with_candidate(**rare), settings()).verdict == "promote"  # better
    equal = Pairs(same=20_000, better=100, worse=100, expected=20_200)
    assert decide(with_candidate(**rare, pairs=equal), settings()).verdict == "keep"
    decision = decide(with_candidate(**rare, pairs=equal), settings(reason="cheaper"))
    assert (decision.verdict, decision.next_share) == ("promote", 1.0)
    slow = {"events": {"slow": [(0.5, 450, 500)]}}
    decision = decide(with_candidate(**rare, **slow), settings())
    assert decision.verdict == "keep"
    assert any("ratio of slow" in sentence for sentence in decision.missing)


def test_drift_with_fresh_labels_and_lost_accuracy_ask_for_training(
    settings: Callable[..., Settings],
):
    alarm = Alarm(stream="surprise", since=START + 10, evidence_log10=5.0)
    drift = Drift(digest=CHAMPION, alarms=[alarm])
    day = int(START // 86_400 * 86_400)
    few = known(
        {"challengers": {}, "labels": [(day, "audit", 100), (day, "user", 9_000)]}, drift=drift
    )
    decision = decide(few, settings())
    assert decision.verdict == "keep"
    assert any("400 more labels" in sentence for sentence in decision.missing)
    many = known(
        {"challengers": {}, "labels": [(day, "audit", 300), (day, "queue", 200)]}, drift=drift
    )
    assert decide(many, settings()).verdict == "retrain"
    proofs = {CHAMPION: Proof(file="e", failed=[], accuracy=0.9)}
    lower = known(
        {"challengers": {}}, proofs=proofs, drift=Drift(digest=CHAMPION, accuracy=(0.7, 0.8, 500))
    )
    assert decide(lower, settings()).verdict == "retrain"
    same = known(
        {"challengers": {}}, proofs=proofs, drift=Drift(digest=CHAMPION, accuracy=(0.8, 0.91, 500))
    )
    assert decide(same, settings()).verdict == "keep"


def random_inputs(draw: random.Random) -> Inputs:
    def by_share() -> list[tuple[float, int, int]]:
        shares = draw.sample([0.01, 0.05, 0.2, 1 / 3, 0.5], draw.randint(0, 4))
        return [(share, draw.randint(0, 900), draw.randint(0, 300)) for share in sorted(shares)]

    def one() -> Challenger:
        pairs = Pairs(
            **{name: draw.randint(0, 10 ** draw.randint(0, 4)) for name in Pairs.model_fields}
        )
        kinds = ("failures", "slow", "abstained", "truncated", "reported_wrong", "any_feedback")
        return challenger(
            role=draw.choice(["challenger", "shadow"]),
            share=draw.choice([0.0, 0.01, 0.05, 0.5, 1.0]),
            step_units=draw.randint(0, 2_000),
            assigned=by_share() if draw.random() < 0.5 else [],
            answered=[],
            events={kind: by_share() for kind in kinds if draw.random() < 0.4},
            pairs=draw.choice([None, GOOD, pairs]),
            audited=draw.choice([None, (Audited(right=9, wrong=1), Audited(right=8, wrong=0))]),
        )

    changes = {
        "rows": draw.randint(0, 10**6),
        "lost": draw.choice([0, draw.randint(0, 10**4)]),
        "horizon": draw.choice([None, START + draw.random() * 1e6]),
        "challengers": {name: one() for name in ("candidate", "second")[: draw.randint(0, 2)]},
        "labels": [(0, "audit", draw.randint(0, 999))],
    }
    drift = Drift(
        digest=CHAMPION, accuracy=(draw.random() / 2, draw.random(), 99), block_seconds=HOUR
    )
    return known(changes, drift=draw.choice([None, drift]))


def test_a_thousand_decisions_are_computed_again_to_the_same_bytes(
    tmp_path: Path, settings: Callable[..., Settings]
):
    draw = random.Random(20)
    verdicts = set()
    for number in range(1000):
        cost = draw.choice([None, draw.random()])
        asked = settings(reason=draw.choice(["", "cheaper"]), cost_of_error=cost)
        content = decision_json(random_inputs(draw), asked, VERSIONS, draw.choice([None, "0" * 64]))
        content = json.loads(canonical_json(content))
        again = decision_json(
            Inputs.model_validate(content["statistics"]),
            Settings.model_validate(content["settings"]),
            content["versions"],
            content["previous"],
        )
        assert canonical_json(again) == canonical_json(content), number
        verdicts.add(content["verdict"])
    assert {"keep", "promote", "roll_back", "invalid"} <= verdicts


def test_a_changed_record_is_found(tmp_path: Path, settings: Callable[..., Settings]):
    out = tmp_path / "decision.json"
    write_decision(out, known(), settings(), VERSIONS)
    assert "byte for byte" in check(out)[0]
    whole = out.read_text()
    draw = random.Random(0)
    for _ in range(60):
        place = draw.randrange(len(whole))
        other = draw.choice("0123456789abcdef \n{}")
        if other == whole[place]:
            continue
        out.write_text(whole[:place] + other + whole[place + 1 :])
        with pytest.raises((DataError, UsageError)):
            check(out)


def test_decisions_are_a_chain(tmp_path: Path, settings: Callable[..., Settings]):
    out = tmp_path / "decision.json"
    first = write_decision(out, known(), settings(), VERSIONS)
    raw = out.read_bytes()
    assert write_decision(out, known(), settings(), VERSIONS) == first
    assert out.read_bytes() == raw  # nothing new
    assert not (tmp_path / "decisions").exists()
    for units in (1, 2):
        write_decision(out, with_candidate(step_units=units), settings(), VERSIONS)
    assert check(out)[1] == "2 earlier decisions are as they were."
    kept = sorted((tmp_path / "decisions").iterdir())
    assert len(kept) == 2
    assert raw in [path.read_bytes() for path in kept]
    kept[0].write_bytes(kept[0].read_bytes().replace(b'"rows": 50000', b'"rows": 50001'))
    with pytest.raises(DataError, match="was changed"):
        check(out)
    for path in kept:
        path.unlink()
    assert "not kept" in check(out)[1]


def test_the_cost_of_errors_is_shown(settings: Callable[..., Settings]):
    inputs = known({"first": START, "returned": 12_000})
    content = decision_json(inputs, settings(cost_of_error=2.0), VERSIONS, None)
    found = content["cost"]["arms"]["candidate"]
    assert found["texts_a_day"] == 9_600
    assert 0 < found["gain_a_day_low"] < found["gain_a_day_high"]
    assert decision_json(inputs, settings(), VERSIONS, None)["cost"] is None


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("nothing", None, "neither"),
        ("experiment.json", b"{", "no JSON"),
        ("experiment.json", b'{"format": 2}', "format 2"),
        ("experiment.json", b"[]", "can't be used"),
        ("experiment.json", b'{"format": 1}', "statistics"),
        ("experiment.json", b'{"format": 1, "statistics": {"rows": -1}}', "rows"),
        ("experiment.json", b"[" * 100_000, "no JSON"),
        ("drift.json", b'{"format": 1, "arms": 3}', "can't be used"),
        ("drift.json", b"\xff\xfe", "no JSON"),
    ],
)
def test_a_file_that_cannot_be_used_is_a_sentence(
    tmp_path: Path, name: str, content: bytes | None, said: str
):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(UsageError, match=said):
        read_inputs(tmp_path, None, [])
