"""Ctrl-C that waits for the batch at hand."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

import tensorflow as tf

__all__ = ["interrupted_after_a_batch"]


class _StopOnInterruption(tf.keras.callbacks.Callback):
    """Ends a training after the batch during which Ctrl-C came."""

    def __init__(self) -> None:
        super().__init__()
        self.came = False

    def receive(self, number: int, frame: FrameType | None) -> None:
        """Note the first Ctrl-C, and let the second one raise at once."""
        if self.came:
            signal.default_int_handler(number, frame)
        self.came = True

    def on_train_batch_end(self, batch: int, logs: object = None) -> None:
        if self.came:
            self.model.stop_training = True


@contextmanager
def interrupted_after_a_batch() -> Iterator[tf.keras.callbacks.Callback]:
    """Let Ctrl-C end a training between two batches, and raise KeyboardInterrupt after it.

    Raised in the midst of ``fit``, KeyboardInterrupt now and then corrupts TensorFlow's memory: the
    process is aborted ("free(): invalid next size") and clears nothing away. Ending the training as
    a callback may does not.

    Yields
    ------
    tf.keras.callbacks.Callback
        To be given to ``fit``, which is to be called inside the block.

    Raises
    ------
    KeyboardInterrupt
        At the end of the block if Ctrl-C came inside it; at once if it came twice.
    """
    callback = _StopOnInterruption()
    # Python lets the main thread alone handle signals, and another handler than its own stays.
    if (
        threading.current_thread() is not threading.main_thread()
        or signal.getsignal(signal.SIGINT) is not signal.default_int_handler
    ):
        yield callback
        return
    signal.signal(signal.SIGINT, callback.receive)
    try:
        yield callback
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if callback.came:
        raise KeyboardInterrupt
