"""Bundle and split to a report: how good the served model is, with baselines.

Judges what will be served, the bundle, and never the checkpoint. Knows nothing of training.
"""

from linnet.errors import MissingExtraError

try:
    import jinja2  # noqa: F401
    import matplotlib  # noqa: F401
    import scipy  # noqa: F401
    import sklearn  # noqa: F401
except ModuleNotFoundError as error:
    raise MissingExtraError(error.name or "scikit-learn", "train") from error

from linnet.evaluate.report import evaluate

__all__ = ["evaluate"]
