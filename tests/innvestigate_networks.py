"""The kinds of network over which iNNvestigate runs its dry-run checks, as data.

All are functional; the first six are of the kinds that its own tests call trivia and mnist, on
smaller images. `build` makes a Keras model of one, in eager mode and with it off.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from tensorflow import keras


class Node(NamedTuple):
    """A use of a layer: its class, its arguments, what it is called on, and with what."""

    kind: str
    arguments: dict[str, Any] = {}  # noqa: RUF012
    operands: tuple[str, ...] | None = None
    call: dict[str, Any] = {}  # noqa: RUF012


class Network(NamedTuple):
    """Nodes by name, in order; operands not given are the node before. The last is the output.

    ``hidden`` names the layers that a ReLU follows on the way to the output.
    """

    input_shape: tuple[int, ...]
    hidden: tuple[str, ...]
    nodes: dict[str, Node]


IMAGE = (12, 12, 1)
FLATTEN = Node("Flatten")
# iNNvestigate's call its dropout in inference mode by argument.
DROPOUT = Node("Dropout", {"rate": 0.25}, call={"training": False})


def dense(units: int, activation: str | None = None, **arguments: Any) -> Node:
    return Node("Dense", {"units": units, "activation": activation, **arguments})


def conv(filters: int, size: int, activation: str | None = "relu", **arguments: Any) -> Node:
    return Node(
        "Conv2D",
        {
            "filters": filters,
            "kernel_size": size,
            "padding": "same",
            "activation": activation,
            **arguments,
        },
    )


def pool(kind: str = "MaxPooling2D") -> Node:
    return Node(kind, {"pool_size": 2, "padding": "same"})


NETWORKS = {
    "a single linear neuron": Network((2,), (), {"output": dense(1, "linear")}),
    "a skip connection of one neuron": Network(
        (1,),
        (),
        {
            "dense": dense(1, "linear", use_bias=False),
            "output": Node("Add", operands=("input", "dense")),
        },
    ),
    "no weights": Network(IMAGE, (), {"flat": FLATTEN, "output": DROPOUT}),
    "one hidden dense layer": Network(
        IMAGE,
        ("hidden",),
        {"flat": FLATTEN, "hidden": dense(32, "relu"), "dropout": DROPOUT, "output": dense(10)},
    ),
    "convolutions that lead nowhere": Network(
        IMAGE,
        ("hidden",),
        {
            "lost": conv(4, 5),
            "lost_too": pool(),
            "flat": Node("Flatten", operands=("input",)),
            "hidden": dense(32, "relu"),
            "dropout": DROPOUT,
            "output": dense(10),
        },
    ),
    "two convolutions": Network(
        IMAGE,
        ("first", "second", "hidden"),
        {
            "first": conv(4, 5),
            "first_pool": pool(),
            "second": conv(6, 5),
            "second_pool": pool(),
            "flat": FLATTEN,
            "hidden": dense(32, "relu"),
            "dropout": DROPOUT,
            "output": dense(10),
        },
    ),
    "two linear layers": Network(
        IMAGE, (), {"flat": FLATTEN, "linear": dense(8), "output": dense(5)}
    ),
    "a softmax as an argument": Network(
        IMAGE,
        ("hidden",),
        {"flat": FLATTEN, "hidden": dense(9, "relu"), "output": dense(4, "softmax")},
    ),
    "softmax and ReLU as layers": Network(
        IMAGE,
        ("hidden",),
        {
            "flat": FLATTEN,
            "hidden": dense(9),
            "relu": Node("ReLU"),
            "logits": dense(4),
            "output": Node("Softmax"),
        },
    ),
    "sum, concatenation, averages, normalisation": Network(
        (8, 8, 2),
        ("stem", "total", "joined_convolution"),
        {
            "stem": conv(3, 3),
            "branch": conv(3, 3, None, use_bias=False),
            "normalised": Node("BatchNormalization"),
            "total": Node("Add", operands=("normalised", "stem")),
            "relu": Node("ReLU"),
            "average": pool("AveragePooling2D"),
            "maximum": pool()._replace(operands=("relu",)),
            "joined": Node("Concatenate", operands=("average", "maximum")),
            "joined_convolution": conv(5, 3),
            "averages": Node("GlobalAveragePooling2D"),
            "output": dense(4, "softmax"),
        },
    ),
}


def build(name: str, seed: int = 0) -> keras.Model:
    """Make the Keras model of a network, with weights and biases drawn from a seed."""
    network = NETWORKS[name]
    tensors = {"input": keras.Input(network.input_shape, name="input")}
    before = "input"
    for key, node in network.nodes.items():
        operands = [tensors[operand] for operand in node.operands or (before,)]
        layer = getattr(keras.layers, node.kind)(name=key, **node.arguments)
        tensors[key] = layer(operands if len(operands) > 1 else operands[0], **node.call)
        before = key
    model = keras.Model(tensors["input"], tensors[before])
    random = np.random.default_rng(seed)
    # Variables cannot be assigned one by one with eager mode off. Stored variances are positive.
    model.set_weights(
        [
            random.normal(scale=np.sqrt(1.0 / max(1, np.prod(array.shape[:-1]))), size=array.shape)
            if array.ndim > 1
            else random.uniform(0.2, 1.2, array.shape)
            for array in model.get_weights()
        ]
    )
    return model


def inputs(name: str, count: int, seed: int = 0) -> np.ndarray:
    """Random images for a network, float32 in 0..1, (count, *input shape)."""
    shape = (count, *NETWORKS[name].input_shape)
    return np.random.default_rng([seed, 7]).random(shape, np.float32)
