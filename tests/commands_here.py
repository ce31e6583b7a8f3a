"""Commands of the experiments, run in the tests' own process."""

from __future__ import annotations

from pathlib import Path

import click
import pytest
import tensorflow as tf
from click.testing import CliRunner, Result

__all__ = ["run_here"]


def run_here(command: click.Command, *arguments: str | Path) -> Result:
    """Run a command, whose training leaves the seeds of TensorFlow as they are.

    It sets them for all that the process does later. What the numbers of a training are then
    decided by are the seeds of its parts; that they are the same each time is tested elsewhere, in
    processes of its own.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tf.keras.utils, "set_random_seed", lambda seed: None)
        patch.setattr(tf.config.experimental, "enable_op_determinism", lambda: None)
        return CliRunner().invoke(command, list(map(str, arguments)), catch_exceptions=False)
