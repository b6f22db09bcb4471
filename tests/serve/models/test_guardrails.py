"""Events fall to arms; a challenger with too many of them is named, and a fair one is not."""

import random

import pytest

from linnet.bundle import Bundle
from linnet.config import ArmConfig
from linnet.errors import TextError
from linnet.predict import Prediction
from linnet.predict.plan import choose_plan
from linnet.serve.errors import APIError, DeadlineExceeded
from linnet.serve.models.answering import OTHER_TEXT_FAILED
from linnet.serve.models.arms import Arm, Arms
from linnet.serve.models.guardrails import (
    FEWEST_LATENCIES,
    SLOW_MOMENTS,
    FirstEvents,
    Guard,
    Guardrails,
)
from linnet.serve.models.items import TextRequest, to_item
from linnet.serve.models.workers import Answer, Pool

FAILED = APIError(503, "model_failed", "The model failed at this text.")


@pytest.fixture(scope="module")
def arms(bundle, config, reseal, tmp_path_factory):
    """Two arms whose workers never start."""
    folder = tmp_path_factory.mktemp("arms")

    def arm(name, role, share):
        path = reseal(folder / name, name=name)
        opened = Bundle.read(path)
        pool = Pool(opened, choose_plan(opened, num_threads=1), config.serve)
        settings = ArmConfig(bundle=str(path), share=share, shadow=role == "shadow")
        return Arm(name, role, share, pool, settings)

    return Arms(
        [
            arm("champion", "champion", 1.0),
            arm("new", "challenger", 0.1),
            arm("aside", "shadow", 1.0),
        ],
        "test",
    )


def answer(abstained=False, truncated=False, seconds=0.01):
    prediction = Prediction(
        None if abstained else "good",
        0.6,
        {"good": 0.6, "bad": 0.4},
        truncated,
        () if abstained else ("good",),
        abstained,
    )
    return Answer(prediction, 0.0, seconds, 0.0, seconds)


def see(guardrails, arms, unit, outcome, named=False, shadow=False, arm=None):
    arm = arm or arms.choose(unit)
    request = TextRequest("id", ["text"], arms, [arm], named, unit)
    return guardrails.see(to_item(request, 0, arm, outcome, shadow=shadow))


def unit_of(arms, name):
    return (f"{number}" for number in range(10**6) if arms.choose(f"{number}").name == name)


@pytest.fixture
def guardrails(arms):
    found = Guardrails(100.0)
    found.watch(arms)
    return found


def counts(guardrails, kind):
    found = guardrails.guards["new"].counts[kind]
    return found.champion, found.challenger


def test_a_challenger_that_fails_is_named_after_few_failures(guardrails, arms):
    units = unit_of(arms, "new")
    found = [see(guardrails, arms, next(units), FAILED) for _ in range(8)]
    assert None in found[:3]
    assert found[-1] == "new"


def test_the_champions_failures_name_nobody(guardrails, arms):
    units = unit_of(arms, "champion")
    assert {see(guardrails, arms, next(units), FAILED) for _ in range(200)} == {None}
    assert counts(guardrails, "failures") == (200, 0)


def test_only_the_first_event_of_a_unit_counts(guardrails, arms):
    unit = next(unit_of(arms, "new"))
    for _ in range(50):
        assert see(guardrails, arms, unit, FAILED) is None
        see(guardrails, arms, unit, answer(abstained=True, truncated=True))
    assert [counts(guardrails, kind) for kind in ("failures", "abstained", "truncated")] == [
        (0, 1)
    ] * 3


@pytest.mark.parametrize(
    ("outcome", "more"),
    [
        (FAILED, {"named": True}),
        (FAILED, {"shadow": True}),
        (APIError(499, "client_left", ""), {}),
        (APIError(504, OTHER_TEXT_FAILED, ""), {}),
        (TextError("empty_text", "The text is empty."), {}),
        (answer(), {}),
    ],
)
def test_what_no_arm_is_to_blame_for_does_not_count(guardrails, arms, outcome, more):
    see(guardrails, arms, next(unit_of(arms, "new")), outcome, **more)
    assert all(counts(guardrails, kind) == (0, 0) for kind in guardrails.guards["new"].counts)


def test_an_event_counts_at_the_share_of_its_assignment(guardrails, arms):
    later = arms.with_shares({"new": 0.5})
    guardrails.watch(later)
    see(guardrails, arms, next(unit_of(arms, "champion")), FAILED)
    see(guardrails, later, next(unit_of(arms, "new")), DeadlineExceeded("late"))
    assert guardrails.guards["new"].counts["failures"].counts == {0.1: (1, 0), 0.5: (0, 1)}
    none = later.with_shares({"new": 0.0})
    see(guardrails, none, "a", FAILED)
    assert counts(guardrails, "failures") == (1, 1)


def test_slow_is_above_the_champions_quantile_fixed_at_the_start(guardrails, arms):
    champions = unit_of(arms, "champion")
    assert guardrails.slow_seconds is None
    for number in range(FEWEST_LATENCIES + 1):
        see(guardrails, arms, next(champions), answer(seconds=number / 1000))
    limit = guardrails.slow_seconds
    assert limit == pytest.approx(0.95 * FEWEST_LATENCIES / 1000)
    guardrails.watch(arms.with_shares({"new": 0.2}))
    see(guardrails, arms, next(unit_of(arms, "new")), answer(seconds=2 * limit))
    assert guardrails.slow_seconds == limit
    assert counts(guardrails, "slow")[1] == 1
    assert Guardrails(100.0, slow_ms=50).slow_seconds == 0.05


def test_one_stall_is_no_evidence():
    for moments, harmful in ((1, False), (SLOW_MOMENTS, True)):
        guard = Guard("digest")
        for _ in range(50):
            guard.add("slow", 0.1, True)
        assert guard.slow_moments <= 2
        guard.slow_moments = moments
        assert (guard.log_evidence() > 4.6) is harmful


def test_an_experiment_that_goes_on_keeps_its_counts(guardrails, arms):
    see(guardrails, arms, next(unit_of(arms, "new")), FAILED)
    guardrails.watch(arms.with_shares({"new": 0.3}))
    assert counts(guardrails, "failures") == (0, 1)
    guardrails.restart("new")
    assert counts(guardrails, "failures") == (0, 0)
    see(guardrails, arms, next(unit_of(arms, "new")), FAILED)
    assert counts(guardrails, "failures") == (0, 0)  # the unit had an event
    guardrails.watch(Arms(arms, "another"))
    see(guardrails, arms, next(unit_of(arms, "new")), FAILED)
    assert counts(guardrails, "failures") == (0, 0)  # assigned by the former experiment


def test_the_memory_of_units_is_bounded_and_a_sample_goes_on():
    first = FirstEvents(most=64)
    counted = [unit for unit in range(5000) if first.add(f"user {unit}")]
    assert len(first) <= 64
    assert 64 <= len(counted) < 1000
    assert any(unit > 2500 for unit in counted)
    assert not any(first.add(f"user {unit}") for unit in counted)


def ramp(arms, run, challengers_rate, units_a_step=2500):
    """Whether a challenger is rolled back over a ramp, and after how many of its texts.

    Users have Zipf activity, and a few of them fail half of the time in both arms.
    """
    draw = random.Random(run)
    arms = Arms(arms, f"run {run}")
    guardrails = Guardrails(100.0)
    users = [f"user {number}" for number in range(2000)]
    weights = [1 / (number + 1) for number in range(2000)]
    broken = {user for user in users if draw.random() < 0.03}
    texts = 0
    ok = answer()
    for share in (0.01, 0.05, 0.2, 0.5):
        arms = arms.with_shares({"new": share})
        guardrails.watch(arms)
        for user in draw.choices(users, weights, k=units_a_step):
            arm = arms.choose(user)
            texts += arm.name == "new"
            rate = challengers_rate if arm.name == "new" else 0.01
            outcome = FAILED if draw.random() < (0.5 if user in broken else rate) else ok
            if see(guardrails, arms, user, outcome, arm=arm):
                return texts
    return None


def test_a_harmless_challenger_is_hardly_ever_rolled_back_over_a_ramp(arms):
    runs = 30
    false = sum(ramp(arms, run, 0.01) is not None for run in range(runs))
    assert false <= 2  # at 1 %, more has a probability below 0.4 %


def test_a_harmful_one_is_rolled_back_on_its_ramp(arms):
    texts = [ramp(arms, run, 0.2) for run in range(10)]
    assert None not in texts
    assert sorted(texts)[5] < 200
