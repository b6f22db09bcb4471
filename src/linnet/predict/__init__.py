"""Bundle to answers: engine, batching, classifier. Knows nothing of how a model was made, or of HTTP."""

from linnet.predict.classifier import Classifier, Prediction, load, sigmoid, softmax

__all__ = ["Classifier", "Prediction", "load", "sigmoid", "softmax"]
