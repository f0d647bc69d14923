"""The public benchmark: strategies and seeds under one trainer and one budget; protocol.md fixes it."""
