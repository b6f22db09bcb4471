"""A raw file to raw rows."""
