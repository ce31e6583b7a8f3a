"""What our analyzers and iNNvestigate's give in a process with eager mode off.

Run as ``python -m tests.with_eager_mode_off FOLDER RESULTS NETWORK...``: analyses with each of the
analyzers saved in the folder after `tf.compat.v1.disable_eager_execution()`, as iNNvestigate's
documentation has it, and writes the maps. iNNvestigate's own gradients of the networks are among
them, and, of the networks that have it, the counts of one.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf

from tests import innvestigate_networks

SEPARATOR = " by "
"""In the file's name, between the network's and the analyzer's."""

COUNTED = "two convolutions"
"""The network whose active neurons are counted."""


def analyses(folder: Path) -> dict[str, np.ndarray]:
    """The maps of each analyzer saved in a folder, by the file's name, on the network's inputs."""
    from insens_tf.analyzer import SwitchedAnalyzer
    from tests.analyzer_cases import INPUTS

    found = {}
    for path in sorted(folder.glob("*.npz")):
        # Each session.run takes longer the more the graph holds.
        tf.keras.backend.clear_session()
        network = path.stem.split(SEPARATOR)[0]
        analyzer = SwitchedAnalyzer.load_npz(path)
        found[path.stem] = analyzer.analyze(innvestigate_networks.inputs(network, INPUTS))
    return found


def gradients(networks: Sequence[str]) -> dict[str, np.ndarray]:
    """iNNvestigate's gradients of the output of some networks: of its largest neuron, its first."""
    import innvestigate

    from tests.analyzer_cases import INPUTS

    found = {}
    for network in networks:
        tf.keras.backend.clear_session()
        model = innvestigate_networks.build(network)
        if isinstance(model.layers[-1], tf.keras.layers.Softmax):
            # iNNvestigate cannot take this layer away itself.
            model = tf.keras.Model(model.input, model.layers[-1].input)
        elif model.layers[-1].get_config().get("activation") == "softmax":
            model = innvestigate.model_wo_softmax(model)
        x = innvestigate_networks.inputs(network, INPUTS)
        found[f"{network}/max_activation"] = innvestigate.create_analyzer(
            "gradient", model
        ).analyze(x)
        found[f"{network}/index"] = innvestigate.create_analyzer(
            "gradient", model, neuron_selection_mode="index"
        ).analyze(x, 0)
    return found


def main(folder: str, results: str, *networks: str) -> None:
    tf.compat.v1.disable_eager_execution()
    # After eager mode was turned off, as iNNvestigate asks for it.
    from tests.analyzer_cases import counts

    found = {f"maps/{name}": maps for name, maps in analyses(Path(folder)).items()}
    if COUNTED in networks:
        found |= {f"counts/{name}": count for name, count in counts(COUNTED).items()}
    found |= {f"gradient/{name}": maps for name, maps in gradients(networks).items()}
    np.savez(results, **found)


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    main(*sys.argv[1:])
