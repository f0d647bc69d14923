"""Why an answer gets no verdict."""


class NotReadableError(Exception):
    """The answer is not understood as a whole; nothing is guessed from its parts."""


class TooLargeError(Exception):
    """A number of the answer has more digits than can be compared at a reasonable cost."""
