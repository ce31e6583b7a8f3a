"""iNNvestigate's maps of small networks in a file, for where iNNvestigate cannot be imported.

    python -m tests.innvestigate_maps

writes `tests/data/innvestigate_maps.npz` on Python 3.10 or 3.11: every deterministic method of the
networks of `tests.attribution_networks`, whose weights and inputs are a function of their names, in
the mode "index", and what made it. A network is anew for each method, as iNNvestigate's state
leaks.
"""

from __future__ import annotations

import json
import platform
from pathlib import Path

import numpy as np

from tests.attribution_networks import NETWORKS, build
from tests.baselines_cases import ARGUMENTS, DETERMINISTIC, SELECTIONS, images

__all__ = ["FILE", "REFUSED"]

FILE = Path(__file__).parent / "data" / "innvestigate_maps.npz"

REFUSED = "refused"
"""Stands in the place of maps where iNNvestigate refuses the network."""


def main() -> None:
    """Write the file."""
    import innvestigate
    import tensorflow as tf

    from insens_tf.baselines import create_baseline

    maps: dict[str, np.ndarray] = {}
    for network in NETWORKS:
        for method in DETERMINISTIC:
            model = build(network)
            arguments = {"neuron_selection_mode": "index", **ARGUMENTS.get(method, {})}
            try:
                with create_baseline(method, model, **arguments) as baseline:
                    found = baseline.analyze(images(network, model), **SELECTIONS["index"])
            except (innvestigate.NotAnalyzeableModelException, ValueError):
                found = np.array(REFUSED)
            maps[f"{network}/{method}"] = found
    made_with = {
        "python": platform.python_version(),
        "tensorflow": tf.__version__,
        "innvestigate": innvestigate.__version__ if hasattr(innvestigate, "__version__") else "",
        "numpy": np.__version__,
        "seeds": "crc32 of the network's name, of weights and of inputs",
    }
    FILE.parent.mkdir(exist_ok=True)
    np.savez_compressed(FILE, made_with=json.dumps(made_with), **maps)


if __name__ == "__main__":
    main()
