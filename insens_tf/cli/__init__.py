"""The command line, `insens-tf`.

Whatever is wrong with what it was given, a path, a shape, a layer, an option, is one line on
stderr and an exit code other than 0. TensorFlow is imported only by the commands that compute, and
only after their paths were checked, so that help and mistakes answer at once.
"""

from insens_tf.cli.program import command_line, main

__all__ = ["command_line", "main"]
