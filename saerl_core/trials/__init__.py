"""Runs trials: each in a folder that holds all of it, in worker processes, never one twice."""
