"""Which learning rate a run has whose user set none, and that a user's own always wins."""

import pytest

from linnet.config import load_config
from linnet.train.encoder.find import Encoder, find_encoder
from linnet.train.encoder.rate import RATES, learning_rate_note, with_learning_rate

MINI = find_encoder("linnet-mini")


def resolved(encoder, *overrides):
    config = with_learning_rate(load_config(overrides=list(overrides)), encoder)
    return config.train.learning_rate, config.tune.learning_rate


def test_each_kind_of_encoder_brings_its_own(encoder):
    assert resolved(Encoder("bert", encoder, "hub")) == (2e-5, (1e-5, 3e-4))
    assert resolved(find_encoder(str(encoder)))[0] == 2e-5
    for found, source in ((MINI, "built-in"), (None, "scratch")):
        rate, (low, high) = resolved(found)
        assert rate == RATES[source] > 2e-5
        assert low < rate < high


@pytest.mark.parametrize("encoder", [MINI, None])
def test_a_users_own_wins(encoder):
    own = resolved(encoder, "train.learning_rate=5e-5", "tune.learning_rate=[1e-5, 1e-4]")
    assert own == (5e-5, (1e-5, 1e-4))
    assert resolved(encoder, "tune.learning_rate=[]")[1] == ()


@pytest.mark.parametrize("rate", [1e-7, 1.0])
def test_the_range_of_a_search_holds_the_recipes_own_rate(rate):
    found, (low, high) = resolved(MINI, f"train.learning_rate={rate}")
    assert found == rate and low <= rate <= high


def test_it_is_said_where_the_encoder_decides(encoder):
    plain, own = load_config(), load_config(overrides=["train.learning_rate=5e-5"])
    for found, name, source in ((MINI, "linnet-mini", "built-in"), (None, "scratch", "scratch")):
        assert learning_rate_note(plain, found) == (
            f"No train.learning_rate was set: {name} trains at its own, {RATES[source]:g}."
        )
        assert learning_rate_note(own, found) == ""
    assert learning_rate_note(plain, find_encoder(str(encoder))) == ""
