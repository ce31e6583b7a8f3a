"""StateMonitor: what each epoch of training does to a network's state, as a Keras callback."""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import tensorflow as tf

from insens_tf import heatmap
from insens_tf.argument_types import LayerLike
from insens_tf.arguments import whole_number
from insens_tf.data_frames import data_frame
from insens_tf.errors import UnreadableModelError
from insens_tf.files import whole_file
from insens_tf.monitoring import LayerState, StateMeasurement, StateWatch, draw_states
from insens_tf.monitoring.state_watch import MARGIN_INPUTS
from insens_tf.network import SwitchedNetwork

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["StateMonitor"]

# What stands in Keras' logs after the name of the layer and a slash.
_LOGGED = ("active", "dead", "always_active", "changed", "margin")


class StateMonitor(tf.keras.callbacks.Callback):
    """Measures, epoch by epoch, the state of the network that is trained.

    Of each layer `<layer>/active`, `/dead`, `/always_active`, `/changed` and `/margin` (see
    `insens_tf.monitoring.LayerState`) are put into Keras' logs, so that History, CSVLogger,
    TensorBoard and others get them; put it before them in the list of callbacks. Epochs that are
    not measured have NaN there. The training is the same to the bit as without it.

    Parameters
    ----------
    x : array (n, *input_shape), or finite tf.data.Dataset of batches
        The inputs over which to measure; held in memory, and one bit a neuron and input.
    layers : list of str, int, HiddenLayer or Keras layer, optional
        Which hidden layers; None: every one.
    every : int
        Measure after every so many epochs. Before the first one it is always measured.
    images : int
        Of how many inputs, the first ones, Insens is drawn each time; it takes `log_dir`.
    log_dir : str or path, optional
        Where pictures go: as summaries where TensorBoard is installed, otherwise as PNG files.
    margin_inputs : int
        Of how many inputs, the first ones, margins are computed; 0: of none, and they are NaN.
    smooth_activations : {None, "ratio"}
        As for `SwitchedNetwork`.

    Attributes
    ----------
    measurements : list of StateMeasurement
        Those of the last training, in order; the step of each is the number of epochs done.

    Raises
    ------
    ValueError
        If an argument is wrong; and when training begins, if x does not fit the model.
    UnreadableModelError
        When training begins, if the model cannot be read.

    Warns
    -----
    RuntimeWarning
        If after an epoch weights or activities are not finite: the logs have NaN then, and the
        training goes on.

    Examples
    --------
    >>> monitor = StateMonitor(x_test[:1000])
    >>> history = model.fit(x_train, y_train, epochs=2, verbose=0, callbacks=[monitor])
    >>> sorted(name for name in history.history if name.startswith("dense/"))
    ['dense/active', 'dense/always_active', 'dense/changed', 'dense/dead', 'dense/margin']
    >>> monitor.measurements[-1].dead_since["dense"].shape
    (1024,)
    >>> monitor.plot().savefig("states.png")
    """

    def __init__(
        self,
        x: Any,
        layers: Sequence[LayerLike] | None = None,
        every: int = 1,
        images: int = 0,
        log_dir: str | os.PathLike[str] | None = None,
        *,
        margin_inputs: int = MARGIN_INPUTS,
        smooth_activations: str | None = None,
    ) -> None:
        super().__init__()
        self._every = whole_number("every", every, least=1, of="epochs")
        self._images = whole_number("images", images, least=0)
        if self._images and log_dir is None:
            raise ValueError(
                f"images={images}: expected a log_dir, the folder to draw into, came none"
            )
        self._log_dir = None if log_dir is None else Path(log_dir)
        self._smooth_activations = smooth_activations
        self._watch = StateWatch(x, layers, margin_inputs)
        self.measurements: list[StateMeasurement] = []

    def on_train_begin(self, logs: Any = None) -> None:
        """Read the model."""
        network = SwitchedNetwork(self.model, smooth_activations=self._smooth_activations)
        inputs = network.input_spec.check(self._watch.x)
        if self._images and not _is_picture(inputs.shape[1:]):
            raise ValueError(
                f"images={self._images}: expected inputs that are pictures, of shape (height, "
                f"width, channels), of which Insens is drawn, came {inputs.shape[1:]}"
            )
        self._layers = self._watch.layers_of(network)
        self._network = network
        self._watch.forget()
        self.measurements = []

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Measure what the first epoch begins with."""
        if not self.measurements:
            self._measure(epoch)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Measure, and put what was found into the logs."""
        states: tuple[LayerState | None, ...] = (None,) * len(self._layers)
        if (epoch + 1) % self._every == 0:
            try:
                states = self._measure(epoch + 1).layers
            except (UnreadableModelError, ValueError) as error:
                warnings.warn(
                    f"the state after epoch {epoch + 1} was not measured: {error}",
                    RuntimeWarning,
                    stacklevel=2,
                )
        if logs is not None:
            for layer, state in zip(self._layers, states, strict=True):
                for name in _LOGGED:
                    value = float("nan") if state is None else float(getattr(state, name))
                    logs[f"{layer.name}/{name}"] = value

    def plot(self) -> Figure:
        """Draw what was measured, layer by layer, over the epochs.

        Raises
        ------
        ValueError
            If nothing was measured yet.
        """
        return draw_states(self.measurements)

    def to_pandas(self) -> Any:
        """Return a pandas.DataFrame with a row a measurement and layer.

        Returns
        -------
        pandas.DataFrame
            Its columns are step and those of `insens_tf.monitoring.LayerState`.

        Raises
        ------
        ModuleNotFoundError
            If pandas is not installed.
        """
        rows = [(one.step, *state) for one in self.measurements for state in one.layers]
        names = ("step", *LayerState._fields)
        return data_frame({name: [row[i] for row in rows] for i, name in enumerate(names)})

    def _measure(self, step: int) -> StateMeasurement:
        measured = self._watch.measure(self._network, step)
        self.measurements.append(measured)
        if self._images and self._log_dir is not None:
            self._draw(self._log_dir, measured)
        return measured

    def _draw(self, log_dir: Path, measured: StateMeasurement) -> None:
        """Draw Insens of the first inputs, weighted with the frequency that was just found."""
        x = np.asarray(self._watch.x[: self._images], self._network.dtype)
        names = [layer.name for layer in self._layers]
        omegas = self._network.insens(x, names, measured.frequency, progress=False)
        maps = {name: heatmap.heatmap(omega) for name, omega in omegas.items()}
        if find_spec("tensorboard") is not None:
            writer = tf.summary.create_file_writer(str(log_dir / "insens"))
            with writer.as_default():
                for name, rgb in maps.items():
                    tf.summary.image(f"insens/{name}", rgb, measured.step, len(rgb))
            writer.close()
            return
        shown = x if x.shape[-1] in (1, 3) else x.mean(axis=-1, keepdims=True)
        figure = heatmap.grid(
            zip(heatmap.picture(shown), *maps.values()), column_titles=["input", *names]
        )
        with whole_file(log_dir / f"insens_{measured.step:04d}.png") as partial:
            figure.savefig(partial, format="png")


def _is_picture(shape: tuple[int, ...]) -> bool:
    # Heatmaps reduce channels, so that there may be any number of those up to 4.
    return len(shape) == 3 and shape[-1] <= 4
