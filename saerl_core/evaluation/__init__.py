"""What a policy can do on held-out prompts, with standard errors."""
