"""Trained networks, kept by their configuration, so that each is trained only once.

A *store* is a folder with a folder a network, named by its data set, labels, seed and a part of the
SHA-256 of its whole configuration, as :func:`experiments.train.train_into` writes it. A network
appears there whole or not at all: training that was interrupted leaves nothing, and the next
command that needs the network trains it. Deleting any of them is safe.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from experiments.data import load_data
from experiments.train import Network, train_into
from insens_tf.files import load_model, results_folder
from insens_tf.parallel import Engine

__all__ = ["Store"]


@dataclass(frozen=True)
class Store:
    """Where trained networks are kept.

    Attributes
    ----------
    folder
        The networks' folder; made if missing.
    data
        Folder of the data sets' ``.npz`` files.
    """

    folder: Path
    data: Path

    def path(self, network: Network, data_sha256: str) -> Path:
        """Return the folder of a network, whether it is there or not."""
        config = json.dumps(network.config(data_sha256), sort_keys=True)
        key = hashlib.sha256(config.encode()).hexdigest()[:12]
        labels = "shuffled" if network.labels_shuffled else "true"
        return self.folder / f"{network.dataset}_{labels}_{network.seed}_{key}"

    def train(self, networks: Sequence[Network], engine: Engine, sha256: Mapping[str, str]) -> None:
        """Train those networks that are not there yet, several at a time.

        Parameters
        ----------
        networks
            The networks that are needed.
        engine
            Decides how many at a time, and where.
        sha256
            Fingerprint of each of their data sets.
        """
        missing = [
            (self, network, sha256[network.dataset])
            for network in networks
            if not self.path(network, sha256[network.dataset]).exists()
        ]
        for _ in engine.map(_train, missing, "training networks"):
            pass

    def load(self, network: Network, data_sha256: str) -> Any:
        """Return a network that has been trained."""
        return load_model(self.path(network, data_sha256) / "model.keras")

    def record(self, network: Network, data_sha256: str) -> dict[str, Any]:
        """Return what is known of a network that has been trained: its ``run.json``."""
        text = (self.path(network, data_sha256) / "run.json").read_text(encoding="utf-8")
        return json.loads(text)


def _train(task: tuple[Store, Network, str]) -> None:
    store, network, data_sha256 = task
    data = load_data(store.data, network.dataset)
    record: dict[str, Any] = {}
    with results_folder(store.path(network, data_sha256), record) as folder:
        record |= train_into(folder, network, data, data_sha256)
