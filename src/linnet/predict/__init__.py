"""Bundle to answers: engine, batching, classifier. Knows nothing of how a model was made, or of HTTP."""

from linnet.predict.answers import decide, sigmoid, softmax, to_probabilities
from linnet.predict.classifier import Classifier, Prediction, load

__all__ = ["Classifier", "Prediction", "decide", "load", "sigmoid", "softmax", "to_probabilities"]
