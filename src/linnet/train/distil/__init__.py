"""Distillation: a student learns what teachers answer."""
