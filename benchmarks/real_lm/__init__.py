"""Does a real language model read prompts better? Signals of SmolLM2-135M beside the small reader and plain text."""
