"""Curricula that answer to rewards: which prompts are worth rollouts for the policy as it is now."""
