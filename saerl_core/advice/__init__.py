"""Before GPUs are rented: what pass rates say about groups, labels and prompts; pure functions on records."""
