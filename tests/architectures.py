"""Architectures as data: one test body runs over all of them.

Each entry of `ARCHITECTURES` is a dictionary of settings; `build` makes a Keras model of it, with
weights *and biases* drawn from a seed, so that no zero is there by chance of initialisation.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from tensorflow import keras

Specification = tuple[str, dict[str, Any]]
"""The name of a class in ``keras.layers``, and its arguments."""

KERAS_2 = not hasattr(keras, "ops")

SETTINGS = {"input_shape", "layers"}
"""The keys that an architecture has, all of them."""


def dense(units: int, activation: str | None = "relu", **arguments: Any) -> Specification:
    """A dense layer, by default with its ReLU as an argument."""
    return "Dense", {"units": units, "activation": activation, **arguments}


def conv(
    filters: int, size: Any, activation: str | None = "relu", **arguments: Any
) -> Specification:
    """A convolution, by default with its ReLU as an argument."""
    return "Conv2D", {
        "filters": filters,
        "kernel_size": size,
        "activation": activation,
        **arguments,
    }


def pool(size: Any, **arguments: Any) -> Specification:
    """Max pooling."""
    return "MaxPooling2D", {"pool_size": size, **arguments}


def layer(kind: str, **arguments: Any) -> Specification:
    """Any other layer."""
    return kind, arguments


def leaky_relu(slope: float) -> Specification:
    """A leaky ReLU layer; what its slope is called depends on the version of Keras."""
    return "LeakyReLU", {"alpha" if KERAS_2 else "negative_slope": slope}


FLATTEN = layer("Flatten")
RELU = layer("ReLU")

ARCHITECTURES: dict[str, dict[str, Any]] = {
    "dense": {
        "input_shape": (7,),
        "layers": [dense(9), dense(6), dense(3, "softmax")],
    },
    "dense without bias": {
        "input_shape": (6,),
        "layers": [dense(8, use_bias=False), dense(5, use_bias=False), dense(3, None)],
    },
    "dense over an image": {
        "input_shape": (4, 5, 2),
        "layers": [dense(3), FLATTEN, dense(6), dense(2, None)],
    },
    "conv valid": {
        "input_shape": (7, 8, 2),
        "layers": [conv(3, 3), conv(2, (2, 3)), FLATTEN, dense(3, None)],
    },
    "conv same, even kernel": {
        "input_shape": (6, 7, 2),
        "layers": [
            conv(3, (4, 2), padding="same"),
            conv(2, (2, 3), padding="same", use_bias=False),
            FLATTEN,
            dense(3, None),
        ],
    },
    "conv strided": {
        "input_shape": (10, 9, 1),
        "layers": [
            conv(3, (3, 2), strides=(2, 3)),
            conv(4, 2, strides=2, padding="same"),
            FLATTEN,
            dense(3, None),
        ],
    },
    "conv strided same, asymmetric padding": {
        "input_shape": (8, 11, 2),
        "layers": [
            conv(3, 3, strides=2, padding="same"),
            conv(3, (4, 3), strides=(3, 2), padding="same"),
            FLATTEN,
            dense(2, None),
        ],
    },
    "conv dilated": {
        "input_shape": (9, 8, 1),
        "layers": [
            conv(3, (3, 2), dilation_rate=(2, 3)),
            conv(2, 3, dilation_rate=2, padding="same"),
            FLATTEN,
            dense(3, None),
        ],
    },
    "conv grouped": {
        "input_shape": (6, 6, 4),
        "layers": [
            conv(6, 3, groups=2),
            conv(3, 2, groups=3, padding="same", strides=2),
            FLATTEN,
            dense(3, None),
        ],
    },
    "conv 1x1 and a colour image": {
        "input_shape": (6, 6, 3),
        "layers": [conv(4, 1), conv(2, 3), FLATTEN, dense(4), dense(3, "softmax")],
    },
    "conv of many channels": {
        "input_shape": (7, 8, 8),
        "layers": [
            conv(8, (4, 2), padding="same"),
            conv(9, (2, 3)),
            conv(8, (3, 2), padding="same", dilation_rate=(2, 1)),
            FLATTEN,
            dense(3, None),
        ],
    },
    "conv strided without a ReLU, flattened": {
        "input_shape": (8, 10, 2),
        "layers": [conv(3, 3, None, strides=(2, 3)), FLATTEN, dense(5), dense(3, None)],
    },
    "pools overlapping": {
        "input_shape": (9, 9, 1),
        "layers": [
            conv(3, 3),
            pool(3, strides=2),
            conv(2, 2),
            pool(2, strides=1),
            FLATTEN,
            dense(5),
            dense(3, None),
        ],
    },
    "pools padded, odd sizes": {
        "input_shape": (11, 7, 1),
        "layers": [
            conv(2, 3, padding="same"),
            pool(2, padding="same"),
            conv(3, 2),
            pool((3, 2), strides=(2, 3), padding="same"),
            FLATTEN,
            dense(4),
            dense(2, None),
        ],
    },
    "pools that leave pixels out": {
        "input_shape": (9, 10, 1),
        "layers": [conv(3, 2), pool(2, strides=3), FLATTEN, dense(4), dense(3, None)],
    },
    "pool of the image itself": {
        "input_shape": (8, 9, 2),
        "layers": [pool(2), conv(3, 3), FLATTEN, dense(3, None)],
    },
    "pool before ReLU": {
        "input_shape": (8, 8, 1),
        "layers": [
            conv(3, 3, None),
            pool(2),
            layer("ReLU"),
            FLATTEN,
            dense(5),
            dense(3, None),
        ],
    },
    "padded pool of negative values": {
        # The padding would win wherever all values are negative if it counted as zero.
        "input_shape": (7, 7, 1),
        "layers": [
            conv(3, 2, None, padding="same"),
            pool(2, padding="same"),
            leaky_relu(0.25),
            FLATTEN,
            dense(3, None),
        ],
    },
    "ReLU as Activation": {
        "input_shape": (7, 7, 1),
        "layers": [
            conv(3, 3, None),
            layer("Activation", activation="relu"),
            pool(2),
            FLATTEN,
            dense(4, None),
            layer("Activation", activation="relu"),
            dense(3, None),
            layer("Activation", activation="softmax"),
        ],
    },
    "ReLU as a layer": {
        "input_shape": (7, 7, 1),
        "layers": [
            conv(3, 3, None),
            layer("ReLU"),
            pool(2),
            FLATTEN,
            dense(4, None),
            layer("ReLU"),
            dense(3, None),
            layer("Softmax"),
        ],
    },
    "reshape and dropout": {
        "input_shape": (24,),
        "layers": [
            layer("Reshape", target_shape=(4, 6, 1)),
            conv(3, 3),
            layer("Dropout", rate=0.5),
            layer("Reshape", target_shape=(-1,)),
            dense(8),
            layer("Dropout", rate=0.3),
            layer("Reshape", target_shape=(2, 2, 2)),
            conv(3, 2),
            FLATTEN,
            dense(3, "softmax"),
        ],
    },
    "leaky": {
        "input_shape": (7, 6, 1),
        "layers": [
            conv(3, 3, None),
            layer("ReLU", negative_slope=0.125),
            pool(2),
            FLATTEN,
            dense(5, None),
            leaky_relu(0.5),
            dense(3, None),
        ],
    },
    "averages, normalisation, zero padding": {
        "input_shape": (8, 9, 2),
        "layers": [
            layer("ZeroPadding2D", padding=((1, 0), (2, 1))),
            conv(3, 3, None, use_bias=False),
            layer("BatchNormalization"),
            layer("ReLU"),
            layer("AveragePooling2D", pool_size=(3, 2), strides=2, padding="same"),
            conv(4, 2),
            layer("BatchNormalization", scale=False),
            layer("PReLU", shared_axes=[1, 2]),
            layer("GlobalAveragePooling2D"),
            dense(3, "softmax"),
        ],
    },
    "saturating": {
        "input_shape": (8,),
        "layers": [
            dense(12, None),
            layer("ReLU", max_value=0.75, negative_slope=0.25),
            dense(9, None),
            layer("PReLU"),
            dense(3, None),
        ],
    },
    "one axis": {
        "input_shape": (17, 2),
        "layers": [
            layer("Conv1D", filters=3, kernel_size=3, dilation_rate=2),
            layer("ZeroPadding1D", padding=(2, 1)),
            RELU,
            layer("MaxPooling1D", pool_size=3, strides=2, padding="same"),
            layer("Conv1D", filters=4, kernel_size=2, strides=2, padding="causal"),
            RELU,
            layer("Cropping1D", cropping=(1, 0)),
            layer("AveragePooling1D", pool_size=2, strides=1, padding="same"),
            layer("SpatialDropout1D", rate=0.5),
            layer("Conv1D", filters=3, kernel_size=2),
            RELU,
            layer("GlobalAveragePooling1D", keepdims=True),
            layer("GlobalMaxPooling1D"),
            dense(3, None),
        ],
    },
    "three axes": {
        "input_shape": (4, 6, 5, 1),
        "layers": [
            layer("ZeroPadding3D", padding=((1, 0), (0, 0), (0, 1))),
            layer("Conv3D", filters=2, kernel_size=(2, 3, 2), strides=(2, 1, 2)),
            RELU,
            layer("Cropping3D", cropping=((0, 0), (1, 0), (0, 1))),
            layer("Conv3D", filters=3, kernel_size=(1, 2, 2), padding="same"),
            RELU,
            layer("SpatialDropout3D", rate=0.5),
            layer("Conv3D", filters=4, kernel_size=(1, 2, 1)),
            RELU,
            layer("GlobalAveragePooling3D"),
            dense(3, None),
        ],
    },
    "depthwise and separable": {
        "input_shape": (9, 8, 2),
        "layers": [
            layer("DepthwiseConv2D", kernel_size=(3, 2), depth_multiplier=2),
            RELU,
            layer("DepthwiseConv2D", kernel_size=3, strides=2, padding="same", use_bias=False),
            RELU,
            layer("SeparableConv2D", filters=3, kernel_size=2, depth_multiplier=2, padding="same"),
            RELU,
            layer("DepthwiseConv2D", kernel_size=2, dilation_rate=(1, 2)),
            RELU,
            FLATTEN,
            dense(3, None),
        ],
    },
    "depthwise and separable over one axis": {
        "input_shape": (15, 2),
        "layers": [
            layer("DepthwiseConv1D", kernel_size=3, depth_multiplier=2, dilation_rate=2),
            RELU,
            layer("DepthwiseConv1D", kernel_size=2, strides=2, padding="same"),
            RELU,
            # Of Keras 3 only convolutions can be causal.
            layer(
                "SeparableConv1D",
                filters=3,
                kernel_size=3,
                padding="causal" if KERAS_2 else "same",
            ),
            RELU,
            FLATTEN,
            dense(3, None),
        ],
    },
    "conv transposed": {
        "input_shape": (3, 4, 2),
        "layers": [
            layer("Conv2DTranspose", filters=3, kernel_size=(3, 2), strides=2, padding="same"),
            RELU,
            layer("Conv2DTranspose", filters=2, kernel_size=(2, 1)),
            RELU,
            conv(2, 3, strides=2),
            layer(
                "Conv2DTranspose", filters=2, kernel_size=3, strides=(2, 2), output_padding=(1, 0)
            ),
            RELU,
            FLATTEN,
            dense(3, None),
        ],
    },
    "conv transposed over one axis": {
        "input_shape": (6,),
        "layers": [
            dense(4),
            layer("RepeatVector", n=3),
            layer("Conv1DTranspose", filters=3, kernel_size=3, strides=2),
            RELU,
            layer("UpSampling1D", size=2),
            layer("Conv1D", filters=2, kernel_size=3),
            RELU,
            layer("GlobalAveragePooling1D"),
            dense(3, None),
        ],
    },
    "conv transposed over three axes": {
        "input_shape": (2, 3, 2, 1),
        "layers": [
            layer("Conv3DTranspose", filters=2, kernel_size=2, strides=(1, 2, 1), padding="same"),
            RELU,
            layer("UpSampling3D", size=(1, 1, 2)),
            layer("Conv3D", filters=2, kernel_size=2),
            RELU,
            layer("GlobalMaxPooling3D", keepdims=True),
            FLATTEN,
            dense(3, None),
        ],
    },
    "global maxima": {
        "input_shape": (7, 6, 2),
        "layers": [conv(5, 3), layer("GlobalMaxPooling2D"), dense(5), dense(3, "softmax")],
    },
    "rescaled, normalised and cropped": {
        "input_shape": (8, 9, 3),
        "layers": [
            layer("Rescaling", scale=0.5, offset=-0.25),
            layer("Normalization", mean=[0.5, -0.25, 0.0], variance=[0.25, 2.0, 1.0]),
            layer("Rescaling", scale=[1.0, 3.0, -0.5]),
            conv(3, 3, None),
            layer("Cropping2D", cropping=((1, 0), (0, 2))),
            layer("Normalization", axis=None, mean=0.125, variance=3.0, invert=True),
            RELU,
            layer("SpatialDropout2D", rate=0.25),
            layer("AlphaDropout", rate=0.25),
            layer("GaussianNoise", stddev=1.0),
            layer("GaussianDropout", rate=0.5),
            layer("Identity"),
            conv(3, 2, strides=2),
            FLATTEN,
            dense(3, None),
        ],
    },
    "axes moved, positions repeated": {
        "input_shape": (3, 4, 2),
        "layers": [
            layer("Permute", dims=(3, 1, 2)),
            RELU,
            layer("UpSampling2D", size=(2, 1)),
            conv(3, 2, None),
            layer("Resizing", height=5, width=3, interpolation="nearest"),
            RELU,
            conv(2, 2),
            FLATTEN,
            dense(3, None),
        ],
    },
    "thresholds": {
        "input_shape": (7, 6, 2),
        "layers": [
            conv(4, 3, None),
            layer("ReLU", threshold=0.5),
            pool(2),
            conv(5, 2, None),
            layer("ReLU", threshold=0.25, max_value=1.0, negative_slope=0.5),
            FLATTEN,
            dense(6, None),
            layer("ReLU", threshold=0.5, max_value=0.25, negative_slope=0.5),
            dense(4, None),
            layer("ReLU", threshold=0.125, negative_slope=0.25),
            dense(3, None),
        ],
    },
    "hard sigmoids": {
        "input_shape": (7, 6, 2),
        "layers": [
            layer("Rescaling", scale=3.0),
            conv(4, 3, "hard_sigmoid"),
            layer("Rescaling", scale=8.0, offset=-4.0),
            pool(2),
            conv(4, 2, None),
            layer("BatchNormalization"),
            layer("Activation", activation="hard_sigmoid"),
            layer("Rescaling", scale=8.0, offset=-4.0),
            FLATTEN,
            dense(5, "hard_sigmoid"),
            dense(3, None),
        ],
    },
    "narrow places": {
        "input_shape": (8, 7, 2),
        "layers": [
            conv(4, 3),
            conv(2, 1, None),
            layer("BatchNormalization"),
            conv(6, 1, None, strides=(2, 3)),
            layer("BatchNormalization"),
            RELU,
            FLATTEN,
            dense(3, None),
            dense(9),
            dense(3, None),
        ],
    },
    "2CONV": {
        "input_shape": (12, 12, 1),
        "layers": [
            conv(4, 5, padding="same"),
            pool(2),
            conv(5, 5, padding="same"),
            pool(2),
            FLATTEN,
            dense(16),
            dense(4, "softmax"),
        ],
    },
}
"""Every architecture by name: ``input_shape`` and ``layers``, each a class and arguments."""

if not hasattr(keras, "ops"):
    ARCHITECTURES["locally connected"] = {
        "input_shape": (7, 6, 2),
        "layers": [
            layer("LocallyConnected2D", filters=3, kernel_size=(3, 2), strides=(2, 1)),
            RELU,
            pool((1, 2)),
            layer("LocallyConnected2D", filters=4, kernel_size=2, use_bias=False),
            layer("ThresholdedReLU", theta=0.25),
            layer("Reshape", target_shape=(-1, 2)),
            layer("LocallyConnected1D", filters=2, kernel_size=3, activation="relu"),
            FLATTEN,
            dense(3, None),
        ],
    }
else:
    ARCHITECTURES["hard hyperbolic tangents"] = {
        "input_shape": (7, 6, 2),
        "layers": [
            conv(4, 3, "hard_tanh"),
            pool(2),
            layer("LeakyReLU", negative_slope=0.25),
            conv(4, 2, "relu6"),
            FLATTEN,
            dense(5, "hard_tanh"),
            dense(3, None),
        ],
    }


def with_sum(dtype: str) -> keras.Model:
    """Two convolutions side by side, added up before their common ReLU."""
    inputs = keras.Input((7, 6, 2), dtype=dtype)
    stem = keras.layers.Conv2D(3, 2, activation="relu", dtype=dtype)(inputs)
    left = keras.layers.Conv2D(3, 3, padding="same", activation="relu", dtype=dtype)(stem)
    left = keras.layers.Conv2D(3, 3, padding="same", dtype=dtype)(left)
    total = keras.layers.Add(dtype=dtype, name="total")([left, stem])
    total = keras.layers.ReLU(dtype=dtype)(total)
    outputs = keras.layers.Dense(3, dtype=dtype)(keras.layers.Flatten(dtype=dtype)(total))
    return keras.Model(inputs, outputs)


def with_concatenation(dtype: str) -> keras.Model:
    """Convolution, average and maximum of one image, side by side."""
    inputs = keras.Input((8, 7, 2), dtype=dtype)
    branches = [
        keras.layers.Conv2D(2, 3, strides=2, padding="same", activation="relu", dtype=dtype)(
            inputs
        ),
        keras.layers.AveragePooling2D(2, padding="same", dtype=dtype)(inputs),
        keras.layers.MaxPooling2D(3, strides=2, padding="same", dtype=dtype)(inputs),
    ]
    joined = keras.layers.Concatenate(dtype=dtype)(branches)
    hidden = keras.layers.Conv2D(3, 2, activation="relu", dtype=dtype)(joined)
    flat = keras.layers.Flatten(dtype=dtype)(hidden)
    return keras.Model(inputs, keras.layers.Dense(3, activation="softmax", dtype=dtype)(flat))


def with_differences(dtype: str) -> keras.Model:
    """Three convolutions of one image: their differences and means."""
    inputs = keras.Input((7, 6, 2), dtype=dtype)
    one, other, third = (keras.layers.Conv2D(3, 2, dtype=dtype)(inputs) for _ in range(3))
    difference = keras.layers.Subtract(dtype=dtype)([one, other])
    hidden = keras.layers.ReLU(dtype=dtype)(difference)
    mean = keras.layers.Average(dtype=dtype)([hidden, other, third])
    hidden = keras.layers.ReLU(dtype=dtype)(mean)
    flat = keras.layers.Flatten(dtype=dtype)(hidden)
    return keras.Model(inputs, keras.layers.Dense(3, dtype=dtype)(flat))


def with_extremes(dtype: str) -> keras.Model:
    """Three convolutions of one image: the largest and the smallest, one below the other."""
    inputs = keras.Input((5, 4, 2), dtype=dtype)
    one, other, third = (keras.layers.Conv2D(3, 2, dtype=dtype)(inputs) for _ in range(3))
    largest = keras.layers.Maximum(dtype=dtype)([one, other, third])
    smallest = keras.layers.Minimum(dtype=dtype)([one, other])
    joined = keras.layers.Concatenate(axis=1, dtype=dtype)([largest, smallest, third])
    hidden = keras.layers.ReLU(dtype=dtype)(joined)
    hidden = keras.layers.ReLU(dtype=dtype)(keras.layers.Conv2D(2, 2, dtype=dtype)(hidden))
    flat = keras.layers.Flatten(dtype=dtype)(hidden)
    return keras.Model(inputs, keras.layers.Dense(3, dtype=dtype)(flat))


def with_shared_layer(dtype: str) -> keras.Model:
    """One dense layer used twice, and a Sequential model inside the model."""
    inputs = keras.Input((6,), dtype=dtype)
    shared = keras.layers.Dense(6, dtype=dtype, name="shared")
    once = keras.layers.ReLU(dtype=dtype, name="gate_once")(shared(inputs))
    twice = keras.layers.ReLU(dtype=dtype, name="gate_twice")(shared(once))
    inner = keras.Sequential(
        [
            keras.Input((6,), dtype=dtype),
            keras.layers.Dense(5, activation="relu", dtype=dtype, name="inside"),
        ],
        name="inner",
    )
    return keras.Model(inputs, keras.layers.Dense(3, dtype=dtype, name="logits")(inner(twice)))


GRAPHS: dict[str, Callable[[str], keras.Model]] = {
    "graph with a sum": with_sum,
    "graph with a concatenation": with_concatenation,
    "graph with differences and means": with_differences,
    "graph with maxima and minima": with_extremes,
    "graph with a shared layer and a model inside": with_shared_layer,
}
"""Functional models by name, each a function of the dtype."""

NAMES = (*ARCHITECTURES, *GRAPHS)

VARIED = (
    "dense",
    "conv strided same, asymmetric padding",
    "pools padded, odd sizes",
    "averages, normalisation, zero padding",
    "depthwise and separable over one axis",
    "hard sigmoids",
    "narrow places",
    "2CONV",
    "graph with a concatenation",
)
"""Architectures that together have most of what there is, for what need not be tried of each."""

STATE_BEFORE_THE_FIRST_LAYER = (
    "pool of the image itself",
    "pool before ReLU",
    "padded pool of negative values",
    "graph with maxima and minima",
)
"""Whose first hidden layer depends on the state, so that its row norms have no closed form."""

WITHOUT_CROPS = {
    "reshape and dropout": (0, 1, 2),
    "one axis": (0, 1, 2),
    "three axes": (0, 1, 2),
    "depthwise and separable": (0, 1, 2, 3),
    "depthwise and separable over one axis": (0, 1, 2),
    "conv transposed": (0, 1, 2, 3),
    "conv transposed over one axis": (1, 2),
    "conv transposed over three axes": (0, 1),
    "global maxima": (1,),
    "rescaled, normalised and cropped": (0, 1),
    "axes moved, positions repeated": (0, 1, 2),
    "graph with maxima and minima": (0, 1),
    "locally connected": (0, 1, 2),
}
"""The hidden layers, by index, whose row norms cannot be computed on crops."""

BEHIND_NARROW_PLACES = {
    "dense": (1,),
    "dense without bias": (1,),
    "pools overlapping": (2,),
    "averages, normalisation, zero padding": (2,),
    "thresholds": (2,),
    "hard sigmoids": (2,),
    "hard hyperbolic tangents": (3,),
    "narrow places": (1, 2),
    "graph with a shared layer and a model inside": (1, 2),
}
"""The hidden layers, by index, that see the input through fewer neurons than they have.

Half of the neurons of a gate that closes count.
"""


def ways_of(name: str, index: int) -> set[str]:
    """The ways in which the row norms of an architecture's hidden layer must be computable."""
    ways = {"backward", "probes", "gradient"}
    if index == 0 and name not in STATE_BEFORE_THE_FIRST_LAYER:
        ways.add("stateless")
    if index not in WITHOUT_CROPS.get(name, ()):
        ways.add("crops")
    if index in BEHIND_NARROW_PLACES.get(name, ()):
        ways.add("narrow")
    return ways


def build(
    name: str,
    seed: int = 0,
    dtype: str = "float64",
    architectures: Mapping[str, Mapping[str, Any]] | None = None,
    integers: bool = False,
) -> keras.Model:
    """Build an architecture with random weights and random biases.

    Parameters
    ----------
    name : str
        A key of ``architectures`` or of `GRAPHS`.
    seed : int
        Of the NumPy generator that weights and biases are drawn from.
    dtype : str
        Of every layer.
    architectures : mapping, optional
        Where the name is looked up; `ARCHITECTURES` if not given.
    integers : bool
        Draw small whole numbers: sums are then exact in any order, and so are ties and zeros.
    """
    if name in GRAPHS:
        model = GRAPHS[name](dtype)
        randomise(model, seed, integers)
        return model
    settings = (ARCHITECTURES if architectures is None else architectures)[name]
    unknown = set(settings) ^ SETTINGS
    if unknown:
        raise ValueError(
            f"architecture {name!r}: settings are {sorted(SETTINGS)}; unknown or missing: "
            f"{sorted(unknown)}"
        )
    model = keras.Sequential([keras.Input(settings["input_shape"], dtype=dtype)])
    for kind, arguments in settings["layers"]:
        model.add(getattr(keras.layers, kind)(**arguments, dtype=dtype))
    randomise(model, seed, integers)
    return model


def randomise(model: keras.Model, seed: int, integers: bool = False) -> None:
    """Draw all weights and biases anew: of a size that keeps the activities near one."""
    random = np.random.default_rng(seed)
    for variable in model.weights:
        shape, kind = tuple(variable.shape), variable.name.split("/")[-1].split(":")[0]
        if kind in ("moving_variance", "gamma"):
            values = random.uniform(0.5, 1.5, shape)
        elif integers:
            values = random.integers(-3, 4, shape).astype(float)
        elif kind == "kernel":
            values = random.normal(scale=np.sqrt(2.0 / np.prod(shape[:-1])), size=shape)
        else:
            values = random.normal(scale=0.3, size=shape)
        variable.assign(values)


def images(model: keras.Model, count: int, seed: int = 0) -> np.ndarray:
    """Random inputs for a model, without ties: (count, *input shape), float64."""
    return np.random.default_rng([seed, 1]).normal(size=(count, *model.input_shape[1:]))
