"""Metrics, logs, traces, and the records for the prediction log."""
