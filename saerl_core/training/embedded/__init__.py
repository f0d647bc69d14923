"""The embedded backend: TRL on one CPU or GPU."""
