"""The linear regions that a network cuts its input space into."""

from insens_tf.regions.path import Crossings, Path

__all__ = ["Crossings", "Path"]
