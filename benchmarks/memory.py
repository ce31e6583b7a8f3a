"""Planned memory against measured, for layers of networks of 224 x 224 pixels and each way.

    python -m benchmarks.memory
    python -m benchmarks.memory --network VGG16 --way crops --out FILE

Every case runs in a process of its own, as TensorFlow keeps memory that was freed, where it hides
what the next call takes: Insens of a layer of one image, in one way, under a memory budget. Ways
that go neuron by neuron get a few neurons, which are several of their chunks; a way that would take
long all the same is left out.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow import keras

import insens_tf
from benchmarks.report import printed, write
from benchmarks.timing import environment, extra_memory, resident_memory

SIZE = 224
NEURONS = 32
"""How many are summed over by the ways that take them one by one."""

MOST_GRADIENTS = 100.0
"""What a case may take."""

LARGEST_KEPT, SMALLEST_KEPT = 2**26, 2**16
"""The sizes that freed memory is looked for in."""

LAYERS = {
    "VGG16": ("block1_conv1", "block1_conv2", "block2_conv1", "block2_conv2"),
    "ResNet50": ("conv1_bn", "conv2_block1_1_bn", "conv4_block1_1_bn"),
    "MobileNetV2": ("bn_Conv1", "block_2_expand_BN", "Conv_1_bn"),
}
WAYS = ("stateless", "crops", "narrow", "backward", "probes", "gradient")
BUDGETS = (256, 512)


@dataclass(frozen=True)
class Case:
    """Insens of a layer in a way, under a budget in MiB."""

    network: str
    layer: str
    way: str
    budget: int


def cases() -> list[Case]:
    """Return every case: each way where it can be gone, and under budgets that change it."""
    return [
        Case(network, layer, way, budget)
        for network, layers in LAYERS.items()
        for layer in layers
        for way in WAYS
        for budget in BUDGETS
        if way != "stateless" or layer == layers[0]
        if way in ("crops", "narrow", "backward") or budget == BUDGETS[-1]
    ]


def measured(case: Case) -> dict[str, Any]:
    """Return a case with what was planned and measured: a row of the table.

    Returns
    -------
    dict
        The case's entries; "planned_memory" and "planned_gradients"; then "measured_memory" and
        "warned", whether there was a warning; or "left_out", why not.
    """
    settings = {"weights": None, "input_shape": (SIZE, SIZE, 3), "classes": 10}
    # Without VGG16's dense layers, of 470 MiB.
    settings["include_top"] = case.network != "VGG16"
    model = getattr(keras.applications, case.network)(**settings)
    network = insens_tf.SwitchedNetwork(model, memory_budget=case.budget * 2**20)
    x = np.random.default_rng(0).normal(size=(1, SIZE, SIZE, 3)).astype(network.dtype)
    row: dict[str, Any] = asdict(case)
    (shape,) = (layer.shape for layer in network.layers if layer.name == case.layer)
    frequency = np.ones(shape)
    if case.way in ("narrow", "backward", "gradient"):
        # Each is expected to be at a position of its own, whose whole narrow place is taken back.
        frequency.flat[NEURONS // 4 if case.way == "narrow" else NEURONS :] = 0
    try:
        plan = network.plan(x.shape, case.layer, frequency, state="all", way=case.way)
    except ValueError:
        return {**row, "left_out": "cannot go this way"}
    row |= {"planned_memory": plan.memory, "planned_gradients": plan.gradients}
    if plan.gradients > MOST_GRADIENTS:
        return {**row, "left_out": "takes too long"}
    with warnings.catch_warnings(record=True) as caught, kept_memory_filled():
        warnings.simplefilter("always")
        row["measured_memory"] = extra_memory(
            lambda: network.insens(
                x, case.layer, frequency, state="all", way=case.way, progress=False
            )
        )
    row["warned"] = any("more than the memory budget" in str(one.message) for one in caught)
    return row


@contextmanager
def kept_memory_filled() -> Iterator[None]:
    """Fill what TensorFlow keeps of the memory that it has freed, so that it hides nothing."""
    held, size = [], LARGEST_KEPT
    while size >= SMALLEST_KEPT:
        before = resident_memory()
        held.append(tf.ones(size // 4))
        # As long as nothing more is resident, it was there.
        if resident_memory() - before > size // 2:
            size //= 2
    yield
    del held


def in_own_process(case: Case) -> dict[str, Any]:
    """Return what `measured` does, from a new process."""
    command = [sys.executable, "-m", "benchmarks.memory", "--case", json.dumps(asdict(case))]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True)
    row: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return row


def main() -> None:
    """Measure the cases, and print and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--network", choices=LAYERS, help="default: each")
    parser.add_argument("--layer", help="default: each that is chosen for the network")
    parser.add_argument("--way", choices=WAYS, help="default: each")
    parser.add_argument("--budget", type=int, choices=BUDGETS, help="in MiB; default: each")
    parser.add_argument("--out", help="a .json file for the results")
    parser.add_argument("--case", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.case is not None:
        print(json.dumps(measured(Case(**json.loads(arguments.case)))))
        return
    record: dict[str, Any] = {**environment(), "rounds": 1, "memory": []}
    for case in cases():
        wanted = {name: getattr(arguments, name) for name in asdict(case)}
        if all(one in (None, asdict(case)[name]) for name, one in wanted.items()):
            record["memory"].append(in_own_process(case))
            print(record["memory"][-1], file=sys.stderr)
            if arguments.out is not None:
                write(record, arguments.out)
    print(printed(record))


if __name__ == "__main__":
    main()
