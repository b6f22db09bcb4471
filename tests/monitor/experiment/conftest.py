"""Settings of an experiment."""

from collections.abc import Callable
from typing import Any

import pytest

from linnet.config import ExperimentConfig, load_config


@pytest.fixture
def settings() -> Callable[..., ExperimentConfig]:
    """The defaults of `[experiment]`, with some changed."""

    def make(**changes: Any) -> ExperimentConfig:
        return load_config(None, []).experiment.model_copy(update=changes)

    return make
