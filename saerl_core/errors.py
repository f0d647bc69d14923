"""The error tree: every message names the value, the bound and the way out."""


class SaerlError(Exception):
    """Base of all errors that saerl raises on purpose; its text is meant for a person."""


class ConfigError(SaerlError, ValueError):
    """A configuration value, or a combination of values, that cannot work."""


class DataError(SaerlError, ValueError):
    """Input data that cannot be used: empty, malformed, inconsistent or not finite."""


class BackendError(SaerlError, RuntimeError):
    """A trainer, sampler or grader that failed while it was running."""
