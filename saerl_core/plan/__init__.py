"""Which prompts in which batch, in which order."""
