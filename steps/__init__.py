"""One step a stage, each thin: check the input, call the library once, track, return."""

import functools
import importlib.metadata

# ZenML looks up in which package a class is installed for every artifact that it stores, and Python then reads the file
# lists of all packages: a third of a second and more each time. They do not change while a run runs.
importlib.metadata.packages_distributions = functools.cache(importlib.metadata.packages_distributions)
