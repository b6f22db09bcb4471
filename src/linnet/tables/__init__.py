"""One reader per format: bytes to rows, strict for data sets and lossless for files to score.

Knows packing, lines, quotes and columns. Knows nothing of models or of what a label means.
"""
