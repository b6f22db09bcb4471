"""What is found out about the rows that were kept."""
