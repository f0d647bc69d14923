"""Import a library without the experiment trackers that it loads and that nothing here uses.

sae-lens and TRL import wandb, and TRL mlflow too, at their own import: half of its time, in every run and worker.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType

_TRACKERS = ("wandb", "mlflow")


@contextmanager
def unused_trackers() -> Iterator[None]:
    """Hand imports inside the block a tracker that is loaded when somebody first uses it.

    What is imported already, or not installed, stays as it is; after the block every import gets the real one. A user's
    own TRL trainer in the same process can still report to either.
    """
    put = [_Later(name) for name in _TRACKERS if name not in sys.modules and find_spec(name) is not None]
    sys.modules.update({later.__name__: later for later in put})
    try:
        yield
    finally:
        for later in put:
            later.leave()


class _Later(ModuleType):
    """Stands for a module of this name, and finds its attributes in the real one."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.__spec__ = find_spec(name)
        self.run = None  # transformers asks whether wandb has one, to see whether it is whole

    def __getattr__(self, name: str) -> object:
        if name.startswith("__") and sys.modules.get(self.__name__) is self:
            raise AttributeError(name)  # the import system asks for `__path__`, inspect for `__file__`
        self.leave()
        found: object = getattr(import_module(self.__name__), name)
        return found

    def leave(self) -> None:
        """Make way for the real module."""
        self.__dict__.pop("run", None)
        if sys.modules.get(self.__name__) is self:
            del sys.modules[self.__name__]
