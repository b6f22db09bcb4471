"""The command line:

one module a command. They import what they need when they run, so `--help` is instant.
"""
