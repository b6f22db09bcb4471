"""The label loop: which texts of the log are worth a label, and what people answered.

Knows the log, files of rows and numbers. Runs no model.
"""
