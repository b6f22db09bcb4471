"""Raw rows to clean rows, each kept or dropped with its reason."""
