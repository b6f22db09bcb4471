"""Which texts say the same, and the hash that decides where a text goes."""
