"""What is searched:

which settings of `[train]`, from where to where, and where the recipe itself is in that.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from linnet.config import Config, TuneConfig
from linnet.errors import ConfigError


def _choices(*values: int) -> CategoricalDistribution:
    return CategoricalDistribution(values)


KINDS: dict[str, Callable[..., BaseDistribution]] = {
    "learning_rate": partial(FloatDistribution, log=True),
    "per_device_train_batch_size": _choices,
    "num_train_epochs": IntDistribution,
    "weight_decay": FloatDistribution,
    "dropout": FloatDistribution,
    "attention_dropout": FloatDistribution,
    "warmup_ratio": FloatDistribution,
    "label_smoothing_factor": FloatDistribution,
}


def search_space(settings: TuneConfig) -> dict[str, BaseDistribution]:
    """The distribution of each `[train]` setting that is searched, by its name.

    Raises:
        ConfigError: All are left out.
    """
    space = {
        name: make(*getattr(settings, name))
        for name, make in KINDS.items()
        if getattr(settings, name)
    }
    if not space:
        raise ConfigError(
            "There is nothing to search: every range of [tune] is []. Give one, such as "
            "tune.dropout."
        )
    return space


def recipe(config: Config, dropouts: Mapping[str, float]) -> dict[str, Any]:
    """The `[train]` section as parameters of a trial.

    Args:
        config: The settings.
        dropouts: The encoder's own rates, for those left to it.

    Raises:
        ConfigError: The search space does not hold it; all such settings at once.
    """
    own = {name: getattr(config.train, name) for name in search_space(config.tune)} | dict(dropouts)
    outside = [
        f"  tune.{name}  {list(getattr(config.tune, name))} does not hold train.{name} = {value!r}"
        for name, value in own.items()
        if not _holds(name, getattr(config.tune, name), value)
    ]
    if outside:
        raise ConfigError(
            "The study begins with the recipe as it is, to compare with, so the search space must "
            "hold it:\n"
            + "\n".join(outside)
            + "\nWiden the range, set the recipe's own value, or leave the setting out of the "
            "search with []."
        )
    return own


def _holds(name: str, values: tuple[float, ...], value: float) -> bool:
    if KINDS[name] is _choices:
        return value in values
    return values[0] <= value <= values[-1]


def with_parameters(config: Config, parameters: Mapping[str, Any]) -> Config:
    """The settings with a trial's parameters in `[train]`."""
    return config.model_copy(update={"train": config.train.model_copy(update=dict(parameters))})
