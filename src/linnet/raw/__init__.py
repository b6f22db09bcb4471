"""What raw files are like, for those who read them: packing, lines, quotes, columns. Knows nothing of texts."""
