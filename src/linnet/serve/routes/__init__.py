"""The routes: Linnet's own, SageMaker's, and those of the Open Inference Protocol."""
