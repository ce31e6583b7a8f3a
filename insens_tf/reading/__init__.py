"""Keras model -> graph: one rule a layer kind, and a clear refusal of what has none."""

from insens_tf.reading.model_walk import Reading, read, read_what_can_be

__all__ = ["Reading", "read", "read_what_can_be"]
