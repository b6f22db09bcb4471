"""The learning rate of a run whose user set none, by the kind of encoder that it starts from.

A small encoder learns too little from the rate that suits a large one. The figures are in
docs/log.md.
"""

from linnet.config import AUTO, Config, TrainConfig, TuneConfig
from linnet.train.encoder import scratch
from linnet.train.encoder.find import Encoder

DEFAULT_RATE = 2e-5  # of an encoder with the shape of BERT, as its paper has it
RATES = {"built-in": 1e-4, "scratch": 5e-4}  # by `Encoder.source`
SPREAD = 5.0  # a search goes from the rate divided by this to the rate times this
DEFAULT_RANGE = (1e-5, 3e-4)


def with_learning_rate(config: Config, encoder: Encoder | None) -> Config:
    """The settings with numbers in place of "auto" for the learning rate and its search range.

    Args:
        config: The settings.
        encoder: What training starts from; None where it is made of the training texts.
    """
    own = RATES.get(_source(encoder))
    rate = config.train.learning_rate
    changed: dict[str, TrainConfig | TuneConfig] = {}
    if isinstance(rate, str):
        rate = own or DEFAULT_RATE
        changed["train"] = config.train.model_copy(update={"learning_rate": rate})
    if config.tune.learning_rate == AUTO:
        low, high = (own / SPREAD, own * SPREAD) if own else DEFAULT_RANGE
        # The study begins with the rate of [train], so its range must hold it.
        searched = (min(low, rate), max(high, rate))
        changed["tune"] = config.tune.model_copy(update={"learning_rate": searched})
    return config.model_copy(update=changed)


def learning_rate_note(config: Config, encoder: Encoder | None) -> str:
    """A sentence about the rate that a small encoder brings; empty where the user set one.

    Args:
        config: The settings as the user gave them.
        encoder: As of `with_learning_rate`.
    """
    rate = RATES.get(_source(encoder))
    if rate is None or config.train.learning_rate != AUTO:
        return ""
    name = encoder.name if encoder else scratch.NAME
    return f"No train.learning_rate was set: {name} trains at its own, {rate:g}."


def _source(encoder: Encoder | None) -> str:
    return encoder.source if encoder else "scratch"
