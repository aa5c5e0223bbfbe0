"""What this model family adds to the error tree of `pipeline.core.errors`."""

from pipeline.core.errors import EngineLoadError


class CheckpointError(EngineLoadError):
    """A file of weights that cannot be had, is not safe, or is not of this family."""
