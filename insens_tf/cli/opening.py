"""The opening of every command: its model, images and activation frequency, the cheapest first."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from insens_tf import files
from insens_tf.cli.frequency import GivenFrequency, check_frequency_options
from insens_tf.cli.given_inputs import GivenInputs
from insens_tf.cli.messages import CommandError, import_tensorflow, said_in_one_line, sign_of_life
from insens_tf.cli.named_layers import check_layers
from insens_tf.cli.options import FrequencyOptions, ImageOptions, ModelOptions

if TYPE_CHECKING:
    from insens_tf.network import SwitchedNetwork

__all__ = ["Opening"]


class Opening:
    """What a command was given, opened in three steps, so that most mistakes show at once.

    Creating it checks what the paths and the model's file say. `read_files` reads the images. Only
    `load_model` and `load_network` import TensorFlow.

    Parameters
    ----------
    model_options : ModelOptions
    images : sequence of str
        Paths; none where the command was given no images.
    image_options : ImageOptions
    frequency_options : FrequencyOptions, optional
        None for a command that weights with no frequency.
    layer_texts : sequence of str
        The layers that are asked for, by name or index.

    Attributes
    ----------
    stored : StoredModel
        What the model's file says of it.
    frequency : GivenFrequency
        After `read_files`.
    """

    def __init__(
        self,
        model_options: ModelOptions,
        images: Sequence[str],
        image_options: ImageOptions,
        frequency_options: FrequencyOptions | None = None,
        layer_texts: Sequence[str] = (),
    ) -> None:
        self.stored = files.stored_model(model_options.model)
        if images:
            files.check_image_paths(images)
        if frequency_options is not None:
            check_frequency_options(frequency_options)
        check_layers(self.stored, layer_texts)
        self._model_options = model_options
        self._images = images
        self._image_options = image_options
        self._frequency_options = frequency_options
        self._layer_texts = layer_texts

    def read_files(self, *, drawn: bool = False, earlier: Path | None = None) -> None:
        """Read the images and the activation frequency.

        Parameters
        ----------
        drawn : bool
            Whether pictures of the images will be drawn.
        earlier : pathlib.Path, optional
            A folder of earlier work that goes on, which may have the frequency already.
        """
        if self._images:
            self._inputs = GivenInputs(self.stored, self._images, self._image_options, drawn=drawn)
        if self._frequency_options is not None:
            self.frequency = GivenFrequency(
                self.stored,
                self._frequency_options,
                self._image_options,
                self._layer_texts,
                earlier,
            )

    def load_model(self, *, one_input_and_output: bool = False) -> Any:
        """Load the model.

        Parameters
        ----------
        one_input_and_output : bool
            Whether to refuse a model that has several of them, or does not know them.
        """
        with sign_of_life("Loading TensorFlow and the model"):
            import_tensorflow()
            model = files.load_model(self.stored.path)
        ends = [len(_ends(model, which)) for which in ("inputs", "outputs")]
        if one_input_and_output and ends != [1, 1]:
            raise CommandError(
                f"model {self.stored.path}: expected a built Sequential or functional model with "
                "one input and one output"
            )
        return model

    def load_network(self) -> SwitchedNetwork:
        """Load the model and read it as a switched network."""
        model = self.load_model()
        from insens_tf.network import SwitchedNetwork

        with said_in_one_line():
            return SwitchedNetwork(model, **self._model_options.network_arguments())

    def inputs_of(self, model: Any) -> files.ModelInputs:
        """Return the images as the loaded model takes them."""
        return self._inputs.of(model)


def _ends(model: Any, which: str) -> Sequence[Any]:
    """Return a model's inputs or outputs, none where they are not known."""
    try:
        return getattr(model, which) or []
    except (AttributeError, ValueError):
        return []
