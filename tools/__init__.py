"""Scripts that write into the repository: cards, tables, documentation images, landmarks."""
