"""The images that a command was given, as a model's inputs."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

import click

from insens_tf import files
from insens_tf.cli.options import ImageOptions

__all__ = ["GivenInputs"]


class GivenInputs:
    """Images that a command was given, read at once and fitted as early as the files allow.

    Parameters
    ----------
    model : StoredModel
    paths : sequence of str
    options : ImageOptions
    usual_keys : sequence of str
        The array of an .npz file that is taken where --key names none: the first of these names.
    drawn : bool
        Whether pictures of them will be drawn.

    Attributes
    ----------
    fitted : ModelInputs or None
        None before `of` where the model's file does not say what the model takes.
    """

    def __init__(
        self,
        model: files.StoredModel,
        paths: Sequence[str],
        options: ImageOptions,
        usual_keys: Sequence[str] = ("x_test", "x"),
        *,
        drawn: bool = False,
    ) -> None:
        self._images = files.read_images(
            paths, options.key, usual_keys, leave_out_bad=options.leave_out_bad
        )
        for reason in self._images.left_out.values():
            print(f"insens-tf: left out {files.one_line(reason, 800)}", file=sys.stderr)
        self._options = options
        self._drawn = drawn
        self.fitted: files.ModelInputs | None = None
        self._fitted_to: tuple[tuple[int | None, ...], bool] | None = None
        if model.input_shape is not None:
            self._fit(model.input_shape, model.begins_with_scaling)

    def of(self, model: Any) -> files.ModelInputs:
        """Give them as a loaded model takes them."""
        return self._fit(tuple(model.inputs[0].shape[1:]), files.begins_with_scaling(model))

    def _fit(self, shape: tuple[int | None, ...], model_scales: bool) -> files.ModelInputs:
        """Fit them, unless that is done, and say in a line how."""
        if self.fitted is None or self._fitted_to != (shape, model_scales):
            self.fitted = files.fit_to_model(
                self._images,
                shape,
                model_scales=model_scales,
                scale=self._options.scale,
                resize=self._options.resize,
                grayscale=self._options.grayscale,
                first=self._options.first,
            )
            self._fitted_to = shape, model_scales
            if self._drawn:
                self.fitted.as_pictures(self.fitted[:1])  # refused now, not after the work
            click.echo(self.fitted.description)
        return self.fitted
