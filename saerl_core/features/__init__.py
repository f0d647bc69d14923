"""The SAE and what it sees: one sparse row a prompt."""
