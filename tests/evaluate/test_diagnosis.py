"""Why a model does not beat its baseline: each reason by facts that show it, and none without them."""

import re
from typing import Any

import pytest

from linnet.config import load_config
from linnet.evaluate.diagnosis import UNKNOWN, Symptoms, diagnose


def epoch(loss: float, accuracy: float) -> dict[str, float]:
    return {"eval_loss": loss, "eval_accuracy": accuracy}


HISTORY = [epoch(0.60, 0.70), epoch(0.50, 0.75), epoch(0.51, 0.74)]
RECIPE = {"num_train_epochs": 3, "learning_rate": 2e-5, "metric_for_best_model": "eval_accuracy"}
CLASSES = [
    {"label": "ham", "support": 50, "predicted": 60},
    {"label": "spam", "support": 50, "predicted": 40},
]


def reasons(
    training: dict[str, Any] | None = None, recipe: dict[str, Any] | None = None, **changes: Any
) -> dict[str, str]:
    """What is found in facts without a reason, with some changes."""
    report = {
        "beats_baseline": False,
        "rows": 100,
        "per_class": CLASSES,
        "train_rows": {"ham": 400, "spam": 400},
        "model": {"temperature": 1.2},
        "truncated": {"share": 0.01},
        "unknown": {"share": 0.0},
        "baselines": [{}, {"difference": {"value": -0.05, "low": -0.1, "high": -0.01}}],
    }
    lineage = {
        "encoder": {"source": "hub"},
        "history": HISTORY,
        "settings": {"train": RECIPE | (recipe or {})},
    }
    found = diagnose(Symptoms(report | changes, lineage | (training or {}), 128))
    assert all(item.keys() == {"reason", "sentence"} for item in found)
    return {item["reason"]: item["sentence"] for item in found}


def test_a_model_that_beats_its_baseline_needs_no_reason():
    assert reasons(beats_baseline=True, model={"temperature": 0.1}) == {}


def test_where_none_is_found_that_is_said():
    assert reasons() == {"unknown": UNKNOWN}


def test_a_model_of_unknown_training_is_diagnosed_too():
    nothing = {"encoder": None, "history": None, "settings": None}
    assert reasons(nothing) == {"unknown": UNKNOWN}
    found = reasons(nothing, model={"temperature": 0.5})
    assert "Raise train.num_train_epochs or train.learning_rate." in found["underconfident"]


@pytest.mark.parametrize(
    ("history", "found"),
    [
        ([epoch(0.60, 0.70), epoch(0.50, 0.75)], True),
        ([epoch(0.60, 0.70)], True),
        ([epoch(0.60, 0.75), epoch(0.50, 0.70)], False),  # an earlier epoch is kept
        ([epoch(0.50, 0.70), epoch(0.52, 0.75)], False),  # its loss rises
    ],
)
def test_still_improving_in_the_last_epoch(history, found):
    assert ("still_improving" in reasons({"history": history})) is found


def test_what_to_raise_is_told_with_its_value():
    sentence = reasons({"history": HISTORY[:2]})["still_improving"]
    assert "Raise train.num_train_epochs (now 3) or train.learning_rate (now 2e-05)." in sentence


@pytest.mark.parametrize(("temperature", "found"), [(0.74, True), (0.75, False), (1.0, False)])
def test_a_temperature_far_below_1(temperature, found):
    assert ("underconfident" in reasons(model={"temperature": temperature})) is found


@pytest.mark.parametrize(
    ("source", "rate", "found"),
    [
        ("built-in", 2e-5, True),
        ("scratch", 2e-5, True),
        ("scratch", 1e-3, False),
        ("hub", 2e-5, False),
    ],
)
def test_a_rate_too_low_for_a_small_encoder(source, rate, found):
    facts = reasons({"encoder": {"source": source}}, {"learning_rate": rate})
    assert ("low_learning_rate" in facts) is found


def test_a_model_that_learned_nothing():
    chance = [epoch(0.70, 0.50), epoch(0.69, 0.50), epoch(0.70, 0.50)]
    assert (
        "guessing by the labels' shares reaches (0.69)" in reasons({"history": chance})["unlearned"]
    )


def test_a_model_that_learned_by_heart():
    history = [epoch(0.40, 0.80), epoch(0.50, 0.80), epoch(0.60, 0.79)]
    assert "rose after epoch 1" in reasons({"history": history})["overfitted"]


def test_rare_classes_are_named_with_their_rows():
    rows = {"ham": 400} | {f"rare{n}": n for n in range(3, 10)}
    sentence = reasons(train_rows=rows)["few_rows"]
    assert sentence.startswith("7 of 8 labels have fewer than 30 rows")
    assert "('rare3': 3, 'rare4': 4, 'rare5': 5, 'rare6': 6, 'rare7': 7 and 2 more)" in sentence
    assert "few_rows" not in reasons(train_rows={"ham": 30, "spam": 400})


def test_a_class_that_is_never_predicted_is_named_with_its_rows():
    never = [CLASSES[0], {"label": "[/spam]\n", "support": 9, "predicted": 0}]
    found = reasons(per_class=never, train_rows={"ham": 400, "[/spam]\n": 35})
    assert (
        "1 of 2 labels were never predicted: '[/spam]\\n', with 35 rows" in found["never_predicted"]
    )
    assert 'train.class_weight = "balanced"' in found["never_predicted"]
    absent = [CLASSES[0], {"label": "spam", "support": 0, "predicted": 0}]
    assert "never_predicted" not in reasons(per_class=absent)


def test_unknown_tokens_and_long_texts():
    found = reasons(unknown={"share": 0.41}, truncated={"share": 0.6})
    assert "41.0% of the texts' tokens are unknown" in found["unknown_tokens"]
    assert "longer than the 128 tokens" in found["truncated"]
    assert "model.max_length" in found["truncated"]


def test_a_model_that_may_be_better_wants_more_rows():
    ahead = [{}, {"difference": {"value": 0.02, "low": -0.01, "high": 0.05}}]
    assert "100 rows can't show" in reasons(baselines=ahead)["few_judged_rows"]


def test_every_setting_that_is_named_exists():
    texts = reasons(
        {"history": [epoch(0.70, 0.5)], "encoder": {"source": "scratch"}},
        model={"temperature": 0.5},
        train_rows={"ham": 3, "spam": 400},
        unknown={"share": 0.5},
        truncated={"share": 0.5},
        per_class=[CLASSES[0], {"label": "spam", "support": 9, "predicted": 0}],
        baselines=[{}, {"difference": {"value": 0.02}}],
    )
    assert len(texts) > 6
    config = load_config()
    for section, key in re.findall(
        r"\b(train|model|data|evaluate)\.(\w+)", " ".join(texts.values())
    ):
        assert hasattr(getattr(config, section), key)
