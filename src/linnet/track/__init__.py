"""Finished runs in MLflow: tracked, registered, promoted through a gate, and fetched verified.

Reads finished files only, so that nothing here can hurt a training. Each name is imported from its
module, because the loader of MLflow's models must not need MLflow's client.
"""
