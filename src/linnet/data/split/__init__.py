"""Which row goes where, and the files that hold it."""
