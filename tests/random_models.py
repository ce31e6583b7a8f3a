"""Random models: architecture, weights and inputs drawn from one source of random choices.

The source is a `random.Random`: seeded, it makes a case that can be made again; drawn by
hypothesis (`strategies.randoms`), one that shrinks, which is why the plainest choice comes first
in every list of choices.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

import numpy as np
from tensorflow import keras

from tests.architectures import KERAS_2

LARGEST = 300
"""How many values a layer has at most."""

INPUT_SHAPES: tuple[tuple[int, ...], ...] = (
    (3,),
    (6,),
    (12,),
    (5, 2),
    (9, 1),
    (12, 3),
    (4, 4, 1),
    (6, 5, 2),
    (7, 8, 1),
    (8, 9, 3),
    (3, 3, 3, 1),
    (4, 3, 5, 2),
)

WHOLE_WEIGHTS = ("whole numbers", "zeros and ones")
"""Of these, sums are exact in any order, and ties and zeros occur."""

WEIGHTS = ("normal", "without biases", "with dead neurons", *WHOLE_WEIGHTS)
"""How weights are drawn."""

INPUTS: dict[str, Callable[[np.random.Generator, tuple[int, ...]], np.ndarray]] = {
    "normal": lambda random, shape: random.normal(size=shape),
    "pixels": lambda random, shape: random.integers(0, 256, shape) / 255,
    "zeros": lambda random, shape: np.zeros(shape),
    "ones": lambda random, shape: np.ones(shape),
    "ties": lambda random, shape: random.integers(0, 2, shape).astype(float),
    "negative": lambda random, shape: -random.random(shape),
    "tiny": lambda random, shape: random.normal(size=shape) * 1e-30,
    "huge": lambda random, shape: random.normal(size=shape) * 1e12,
}
"""The kinds of inputs, each drawn for a shape."""

WHOLE_INPUTS = ("ties", "ones", "zeros")
"""The kinds of inputs that are whole numbers."""

# Division by 3, square roots and the like: what follows is not exact even of whole numbers.
INEXACT = ("Average", "BatchNormalization", "Normalization", "Resizing", "hard_sigmoid")

UNREADABLE = ("crop_to_aspect_ratio", "pad_to_aspect_ratio", "antialias")
"""Settings of Resizing that are no linear interpolation of positions alone."""


@dataclass(frozen=True)
class RandomModel:
    """A model with its weights, and inputs for it.

    Attributes
    ----------
    model : keras.Model
    x : numpy.ndarray, shape (n, *input shape)
        In the model's dtype.
    exact : bool
        Whether all that the model computes is exact, so that nothing depends on rounding.
    steps : tuple of str
        What was drawn, to be read by whom it may concern.
    readable : bool
        Whether the library can read the model; what it cannot it must refuse.
    """

    model: keras.Model
    x: np.ndarray
    exact: bool
    steps: tuple[str, ...]
    readable: bool = True

    def __repr__(self) -> str:
        return "; ".join(self.steps)


def random_model(random: Random, inputs: int = 2, largest_depth: int = 4) -> RandomModel:
    """Draw a model of up to `largest_depth` steps and its output, and some inputs."""
    drawing = _Drawing(random, dtype=random.choice(["float64"] * 4 + ["float32"]))
    shape = random.choice(INPUT_SHAPES)
    drawing.steps.append(f"input {shape} {drawing.dtype}")
    depth = random.randint(1, largest_depth)
    make = random.choice([drawing.sequential, drawing.functional, drawing.functional])
    model = make(shape, depth)
    weights = random.choice(WEIGHTS)
    whole = weights in WHOLE_WEIGHTS and drawing.dtype == "float64" and random.choice([True, False])
    kinds = [random.choice(WHOLE_INPUTS if whole else list(INPUTS)) for _ in range(inputs)]
    numbers = np.random.default_rng(random.getrandbits(32))
    draw_weights(model, weights, numbers)
    x = np.stack([INPUTS[kind](numbers, shape) for kind in kinds]).astype(drawing.dtype)
    drawing.steps.append(f"weights {weights}; inputs {', '.join(kinds)}")
    exact = whole and not any(kind in step for step in drawing.steps for kind in INEXACT)
    readable = not any(setting in step for step in drawing.steps for setting in UNREADABLE)
    return RandomModel(model, x, exact, tuple(drawing.steps), readable)


def draw_weights(model: keras.Model, kind: str, random: np.random.Generator) -> None:
    """Draw all weights of a model anew, as `WEIGHTS` names it."""
    for variable in model.weights:
        shape, name = tuple(variable.shape), variable.name.split("/")[-1].split(":")[0]
        if name in ("moving_variance", "gamma"):
            values = random.uniform(0.5, 1.5, shape)
        elif name in ("count", "mean", "variance"):
            continue  # of an adapted normalisation, whose statistics are what it was adapted to
        elif kind == "whole numbers":
            values = random.integers(-2, 3, shape).astype(float)
        elif kind == "zeros and ones":
            values = random.integers(0, 2, shape).astype(float)
        elif "kernel" in name:
            values = random.normal(scale=math.sqrt(2 / max(1, math.prod(shape[:-1]))), size=shape)
            if kind == "with dead neurons":
                values[..., random.random(shape[-1]) < 0.5] = 0.0
        else:
            values = random.normal(scale=0.3, size=shape)
            if kind == "without biases":
                values = np.zeros(shape)
            elif kind == "with dead neurons":
                values[random.random(shape) < 0.5] = 0.0
        variable.assign(values)


@dataclass
class _Drawing:
    """What is being drawn: layers, one after another, and a note of each."""

    random: Random
    dtype: str
    steps: list[str] = field(default_factory=list)
    gates: int = 0

    # --- models ---------------------------------------------------------------------------------

    def sequential(self, shape: tuple[int, ...], depth: int) -> keras.Model:
        tensor = keras.Input(shape, dtype=self.dtype)
        layers = []
        for _ in range(depth):
            taken, tensor = self._small_enough(tensor)
            layers += taken
        layers += self.head(_shape(tensor))
        return keras.Sequential([keras.Input(shape, dtype=self.dtype), *layers])

    def _small_enough(self, tensor: Any) -> tuple[list[Any], Any]:
        """Layers to go on with from a tensor, and what they give."""
        taken = []
        for layer in self.layers(_shape(tensor)):
            # Keras has no way to look ahead that holds for every layer but to try.
            result = layer(tensor)
            if math.prod(_shape(result)) <= LARGEST:
                tensor = result
                taken.append(layer)
        return taken, tensor

    def functional(self, shape: tuple[int, ...], depth: int) -> keras.Model:
        inputs = tensor = keras.Input(shape, dtype=self.dtype)
        for _ in range(depth):
            step = self.random.choice([self.chain] * 3 + [self.branches, self.twice, self.nested])
            result = step(tensor)
            if math.prod(_shape(result)) <= LARGEST:
                tensor = result
        for layer in self.head(_shape(tensor)):
            tensor = layer(tensor)
        return keras.Model(inputs, tensor)

    def head(self, shape: tuple[int, ...]) -> list[Any]:
        """The end of a model: a gate where there was none yet, and an output layer."""
        layers = []
        if not self.gates:
            layers.append(self.gate())
        if len(shape) > 1 and self.random.choice([True, True, False]):
            layers.append(self.layer("Flatten"))
        output = self.random.choice(["linear", "softmax", "sigmoid"])
        layers.append(self.layer("Dense", self.random.randint(1, 4), activation=output))
        return layers

    # --- several layers -------------------------------------------------------------------------

    def chain(self, tensor: Any) -> Any:
        for layer in self.layers(_shape(tensor)):
            tensor = layer(tensor)
        return tensor

    def branches(self, tensor: Any) -> Any:
        """Two or three chains side by side, one of them perhaps a skip, and what joins them."""
        joins = ["Add", "Concatenate", "Maximum", "Minimum", "Average", "Subtract"]
        join = self.random.choice(joins)
        count = 2 if join == "Subtract" else self.random.randint(2, 3)
        self.steps.append(f"{count} branches:")
        chains = []
        for branch in range(count):
            chain = tensor
            for _ in range(self.random.randint(0 if branch else 1, 2)):
                for layer in self.of_same_shape(_shape(tensor)):
                    chain = layer(chain)
            chains.append(chain)
        options = {"axis": self.random.randint(1, len(tensor.shape) - 1)}
        return self.layer(join, **(options if join == "Concatenate" else {}))(chains)

    def twice(self, tensor: Any) -> Any:
        """One layer used twice, with a gate between."""
        self.steps.append("twice:")
        shared, *_ = self.of_same_shape(_shape(tensor))
        return shared(self.gate()(shared(tensor)))

    def nested(self, tensor: Any) -> Any:
        """A model as a layer."""
        self.steps.append("nested:")
        inputs = keras.Input(_shape(tensor), dtype=self.dtype)
        if self.random.choice([True, False]):
            inner = keras.Model(inputs, self.chain(inputs))
        else:
            layers, _ = self._small_enough(inputs)
            inputs = keras.Input(_shape(tensor), dtype=self.dtype)
            inner = keras.Sequential([inputs, *(layers or [self.gate()])])
        return inner(tensor)

    # --- one layer ------------------------------------------------------------------------------

    def layers(self, shape: tuple[int, ...]) -> list[Any]:
        """A layer, and often its gate."""
        kinds: list[Callable[[tuple[int, ...]], Any]] = [self.dense, self.pointwise]
        if len(shape) == 1:
            kinds += [self.dense, self.unfolded]
        else:
            kinds += [self.convolution] * 4 + [self.moved, self.global_pooling]
        if self.can_be_pooled(shape):
            kinds += [self.pooling] * 2
        layers = [self.random.choice(kinds)(shape)]
        if self.random.choice([True, True, False]):
            layers.append(self.gate())
        return layers

    def can_be_pooled(self, shape: tuple[int, ...]) -> bool:
        # TensorFlow pools over three axes in float32 only, on a processor.
        return len(shape) in (2, 3) or (len(shape) == 4 and self.dtype == "float32")

    def of_same_shape(self, shape: tuple[int, ...]) -> list[Any]:
        """A layer that changes no shape, and often its gate."""
        if self.can_be_pooled(shape) and self.random.randrange(4) == 3:
            # Its gradient's gradient is where TensorFlow's kernels were wrong.
            size = [self.random.randint(1, 3) for _ in shape[1:]]
            layers = [self.layer(f"MaxPooling{len(shape) - 1}D", size, 1, "same")]
        elif len(shape) > 1 and self.random.choice([True, True, False]):
            size = [self.random.randint(1, 3) for _ in shape[1:]]
            kind = f"Conv{len(shape) - 1}D"
            layers = [self.layer(kind, shape[-1], size, padding="same")]
        else:
            layers = [self.random.choice([self.pointwise, self.of_same_width])(shape)]
        if self.random.choice([True, True, False]):
            layers.append(self.gate())
        return layers

    def layer(self, kind: str, *arguments: Any, **options: Any) -> Any:
        given = [*map(repr, arguments), *(f"{name}={value!r}" for name, value in options.items())]
        self.steps.append(f"{kind}({', '.join(given)})")
        return getattr(keras.layers, kind)(*arguments, **options, dtype=self.dtype)

    def activation(self) -> str:
        activation = self.random.choice(["linear", "relu"])
        self.gates += activation == "relu"
        return activation

    def gate(self) -> Any:
        self.gates += 1
        gates: list[tuple[str, list[Any]]] = [
            ("ReLU", []),
            ("ReLU", []),
            ("Activation", ["relu"]),
            ("LeakyReLU", [0.25]),
            ("PReLU", []),
            ("ReLU", [6.0]),
            ("ReLU", [1.5, 0.5]),
            ("ReLU", [None, 0.25, 0.5]),
            ("Activation", ["relu6"]),
            ("Activation", ["hard_sigmoid"]),
        ]
        kind, arguments = self.random.choice(gates)
        return self.layer(kind, *arguments)

    def dense(self, shape: tuple[int, ...]) -> Any:
        return self.layer(
            "Dense",
            self.random.randint(1, 8),
            activation=self.activation(),
            use_bias=self.random.choice([True, False]),
        )

    def of_same_width(self, shape: tuple[int, ...]) -> Any:
        return self.layer("Dense", shape[-1], activation=self.activation())

    def pointwise(self, shape: tuple[int, ...]) -> Any:
        """A layer that treats every value, or every channel, alone."""
        channels = shape[-1]
        kinds: list[tuple[str, list[Any]]] = [
            ("BatchNormalization", []),
            ("Rescaling", [0.5, -0.25]),
            ("Normalization", []),
            ("Dropout", [0.5]),
            ("GaussianNoise", [1.0]),
            ("GaussianDropout", [0.5]),
            ("AlphaDropout", [0.5]),
            ("ActivityRegularization", []),
        ]
        if len(shape) > 1:
            kinds.append((f"SpatialDropout{len(shape) - 1}D", [0.5]))
        kind, arguments = self.random.choice(kinds)
        options: dict[str, Any] = {}
        if kind == "Normalization":
            options = self.random.choice(
                [{"mean": [0.25] * channels, "variance": [0.5] * channels}, {"axis": -1}]
            )
            options |= self.random.choice([{}, {"invert": True}])
        elif kind == "BatchNormalization":
            options = {name: self.random.choice([True, False]) for name in ("center", "scale")}
            options |= self.random.choice([{}, {"epsilon": 0.125}])
        layer = self.layer(kind, *arguments, **options)
        if options.get("axis") == -1:
            numbers = np.random.default_rng(self.random.getrandbits(32))
            layer.adapt(numbers.normal(0.5, 2.0, (16, *shape)))
        return layer

    def unfolded(self, shape: tuple[int, ...]) -> Any:
        """From one axis to more."""
        (length,) = shape
        side = next(side for side in (4, 3, 2, 1) if length % side == 0)
        targets = [(side, length // side), (side, length // side, 1), (1, side, length // side)]
        return self.random.choice(
            [
                lambda: self.layer("RepeatVector", self.random.randint(1, 4)),
                lambda: self.layer("Reshape", self.random.choice(targets)),
            ]
        )()

    def convolution(self, shape: tuple[int, ...]) -> Any:
        *image, channels = shape
        axes = len(image)
        kind = self.random.choice(
            ["Conv", "Conv", "Transposed"] + ["DepthwiseConv", "SeparableConv"] * (axes < 3)
        )
        if kind == "Transposed":
            return self.transposed_convolution(axes)
        size = [self.random.randint(1, min(3, length)) for length in image]
        # Of Keras 3 only convolutions can be causal.
        causal = axes == 1 and (kind == "Conv" or (kind == "SeparableConv" and KERAS_2))
        options: dict[str, Any] = {
            "padding": self.random.choice(["valid", "same"] + ["causal"] * causal),
            "activation": self.activation(),
            "use_bias": self.random.choice([True, True, False]),
        }
        strides = [self.random.randint(1, 3) for _ in image]
        dilation = [
            self.random.randint(1, max(1, min(2, (length - 1) // max(1, window - 1))))
            for length, window in zip(image, size)
        ]
        # TensorFlow has no depthwise convolution with strides that differ, nor with both, and none
        # over three axes that is dilated, on a processor.
        spread = self.random.choice(["none", "strides"] + ["dilation"] * (axes < 3))
        if spread == "strides":
            options["strides"] = strides if kind == "Conv" else strides[:1] * axes
        if axes == 3 and spread == "strides":
            # With "same", TensorFlow's convolution over three axes begins elsewhere than those over
            # one or two if a stride is longer than its window.
            options["strides"] = [min(pair) for pair in zip(strides, size)]
        elif spread == "dilation":
            options["dilation_rate"] = dilation
        if kind == "DepthwiseConv":
            multiplier = self.random.randint(1, 2)
            return self.layer(f"{kind}{axes}D", size, depth_multiplier=multiplier, **options)
        filters = self.random.randint(1, 4)
        if kind == "Conv" and axes < 3 and channels in (2, 3, 4) and self.random.randrange(3) == 2:
            options["groups"] = channels
            filters = channels * self.random.randint(1, 2)
        return self.layer(f"{kind}{axes}D", filters, size, **options)

    def transposed_convolution(self, axes: int) -> Any:
        size = [self.random.randint(1, 3) for _ in range(axes)]
        strides = [self.random.randint(1, 2) for _ in range(axes)]
        return self.layer(
            f"Conv{axes}DTranspose",
            self.random.randint(1, 3),
            size,
            strides=strides,
            padding=self.random.choice(["valid", "same"]),
            activation=self.activation(),
        )

    def pooling(self, shape: tuple[int, ...]) -> Any:
        *image, _ = shape
        # Average pooling of 1, 2, 4 or 8 values stays exact.
        kind, largest = self.random.choice([("Max", 3), ("Average", 2), ("Max", 7)])
        size = [self.random.randint(1, min(largest, length)) for length in image]
        strides = self.random.choice([None, [self.random.randint(1, 3) for _ in image], 1])
        padding = self.random.choice(["valid", "same"])
        return self.layer(f"{kind}Pooling{len(image)}D", size, strides, padding)

    def global_pooling(self, shape: tuple[int, ...]) -> Any:
        kind = self.random.choice(["Max", "Average"])
        return self.layer(
            f"Global{kind}Pooling{len(shape) - 1}D", keepdims=self.random.choice([False, True])
        )

    def moved(self, shape: tuple[int, ...]) -> Any:
        """A layer that moves, repeats or leaves out values."""
        *image, channels = shape
        axes = len(image)
        ends: Any = [[self.random.randint(0, 2) for _ in range(2)] for _ in image]
        cropped: Any = [
            [self.random.randint(0, (length - 1) // 2) for _ in range(2)] for length in image
        ]
        factors: Any = [self.random.randint(1, 2) for _ in image]
        if axes == 1:
            ends, cropped, factors = ends[0], cropped[0], factors[0]
        dims = self.random.sample(range(1, axes + 2), axes + 1)
        options: Sequence[Callable[[], Any]] = [
            lambda: self.layer("Flatten"),
            lambda: self.layer("Permute", dims),
            lambda: self.layer("Reshape", (math.prod(image), channels)),
            lambda: self.layer(f"ZeroPadding{axes}D", ends),
            lambda: self.layer(f"Cropping{axes}D", cropped),
            lambda: self.layer(f"UpSampling{axes}D", factors),
            lambda: self.layer(
                "Resizing",
                self.random.randint(1, 6),
                self.random.randint(1, 6),
                self.random.choice(["bilinear", "nearest"]),
            ),
            lambda: self.layer("UpSampling2D", factors, interpolation="bilinear"),
            lambda: self.resized_otherwise(),
        ]
        return self.random.choice(options[: 6 + 3 * (axes == 2)])()

    def resized_otherwise(self) -> Any:
        """With settings that are no plain interpolation, as far as this Keras has them."""
        size = [self.random.randint(2, 5), self.random.randint(2, 5)]
        setting = self.random.choice(UNREADABLE)
        if setting not in inspect.signature(keras.layers.Resizing).parameters:
            setting = UNREADABLE[0]
        return self.layer("Resizing", *size, **{setting: True})


def _shape(tensor: Any) -> tuple[int, ...]:
    return tuple(tensor.shape[1:])
