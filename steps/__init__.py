"""One step a stage, each thin: check the input, call the library once, track, return."""

import functools
import importlib.metadata

import zenml.environment

# ZenML looks up in which package a class is installed for every artifact that it stores, and Python then reads the file
# lists of all packages: a third of a second and more each time. They do not change while a run runs.
importlib.metadata.packages_distributions = functools.cache(importlib.metadata.packages_distributions)

# For the record of a run ZenML also asks pip twice for the list of packages, a second each time.
zenml.environment.Environment.get_python_packages = staticmethod(
    functools.cache(zenml.environment.Environment.get_python_packages)
)
