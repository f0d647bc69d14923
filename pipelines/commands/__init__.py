"""What `saerl` does beside running a pipeline, a module for commands that belong together."""
