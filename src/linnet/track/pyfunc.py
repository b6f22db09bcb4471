"""What MLflow loads a bundle with: a module in place of a pickle.

`mlflow.pyfunc.load_model` and `mlflow models serve` call `_load_pyfunc` with the bundle's folder.
Needs neither torch nor MLflow's client.
"""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from linnet.errors import DataError
from linnet.predict import Classifier, load


class Model:
    """A bundle as MLflow calls models.

    Args:
        classifier: The loaded bundle.
    """

    def __init__(self, classifier: Classifier):
        self._classifier = classifier

    def predict(
        self, model_input: Any, params: dict[str, Any] | None = None
    ) -> list[dict[str, Any]]:
        """Classify texts.

        Args:
            model_input: Texts: a list, a NumPy array or a pandas Series of strings, or a pandas
                DataFrame with one column.
            params: Not used.

        Returns:
            For each text the attributes of `linnet.Prediction`.

        Raises:
            DataError: These are no texts.
            TextError: A text can't be used.
        """
        return [asdict(answer) for answer in self._classifier.predict(_texts(model_input))]


def _load_pyfunc(path: str) -> Model:
    return Model(load(path))


def _texts(model_input: Any) -> Sequence[str]:
    if isinstance(model_input, str):
        return [model_input]
    if getattr(model_input, "ndim", 1) == 2:
        if model_input.shape[1] != 1:
            raise DataError(f"Expected one column of texts, got {model_input.shape[1]} columns.")
        model_input = getattr(model_input, "values", model_input)[:, 0]
    texts = list(model_input)
    if wrong := next((text for text in texts if not isinstance(text, str)), None):
        raise DataError(f"Expected texts, got a {type(wrong).__name__}.")
    return texts
