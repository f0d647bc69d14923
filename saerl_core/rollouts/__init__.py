"""Graded completions: one sampler, one grader for labels, training and evaluation."""
