"""Whether a retrained policy replaces the champion: what changed, what the comparison says, the verdict in words."""
