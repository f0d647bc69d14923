"""One step a stage, each thin: check the input, call the library once, track, return."""
