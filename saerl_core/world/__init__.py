"""The built-in task world: verifiable short problems, their corruptions, the character tokenizer."""
