"""Quality, clusters and difficulty: one table each, one row a prompt."""
