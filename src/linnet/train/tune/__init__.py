"""The search for a recipe: trials in an Optuna study that survives kills and is shared.

Knows nothing of the test split.
"""

from linnet.errors import MissingExtraError

try:
    import optuna  # noqa: F401
except ModuleNotFoundError as error:
    raise MissingExtraError(error.name or "optuna", "train") from error

from linnet.train.tune.stage import tune

__all__ = ["tune"]
