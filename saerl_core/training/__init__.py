"""Trainer backends, and the proof that the planned order was trained."""
