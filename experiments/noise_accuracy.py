"""Accuracy in noise around the digits: its measurement, and how it compares with the paper's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from experiments.intervals import sample_deviation
from experiments.method_maps import predicted
from experiments.network_store import Store
from experiments.tables import read_csv
from experiments.train import Network
from insens_tf.evaluation import add_noise

__all__ = [
    "FORM_TITLES",
    "ORDER",
    "PAPER_ACCURACIES",
    "PLACE_COLOURS",
    "PLACE_TITLES",
    "Accuracies",
    "Measurement",
    "accuracies_of_clean_images",
    "accuracy",
    "closest",
    "forms_of",
    "ranges",
    "read_accuracies",
    "standard_deviations_of",
]

PAPER_ACCURACIES = {"bordered": 0.87, "framed": 0.45, "background": 0.32}
"""Over 10,000 test images, by what is left clean: the outline, the frame, nothing (section 3)."""

ORDER = {"outline > frame": ("bordered", "framed"), "frame > none": ("framed", "background")}
"""The paper's order of the three, part by part: which accuracy is above which."""

PLACE_TITLES = {"bordered": "outline clean", "framed": "frame clean", "background": "none clean"}
"""How each place of noise is called in pictures, by what is left clean."""

PLACE_COLOURS = {"bordered": "tab:blue", "framed": "tab:orange", "background": "tab:green"}
"""The colours that they have there."""

FORM_TITLES = {
    "signed": "around 0",
    "clipped": "around 0, clipped",
    "absolute": "absolute value",
    "mid_grey": "around 0.5",
    "clipped_mid_grey": "around 0.5, clipped",
}
FORM_TITLES |= {f"{form}_added": f"{title}, added" for form, title in FORM_TITLES.items()}
"""How each form of noise is called there; clipped: to 0..1."""

Accuracies = Mapping[tuple[str, str, float], NDArray[np.float64]]
"""By form, place and standard deviation the accuracy of each network, (networks,)."""

# Form, place and standard deviation of clean images.
_CLEAN = ("none", "clean", 0.0)


@dataclass(frozen=True)
class Measurement:
    """One network and one form of noise: what a process is given to do."""

    store: Store
    network: Network
    data_sha256: str
    form: str
    standard_deviations: tuple[float, ...]
    noise_seed: int
    images: int | None = None
    threshold: float = 0.0
    width: int = 3

    @property
    def conditions(self) -> list[tuple[str, str, float]]:
        """The form, place and standard deviation of each accuracy; clean images come first."""
        return [
            _CLEAN,
            *(
                (self.form, place, one)
                for one in self.standard_deviations
                for place in PLACE_TITLES
            ),
        ]

    def accuracies(
        self, model: Any, images: NDArray[np.float32], labels: NDArray[np.uint8]
    ) -> NDArray[np.float64]:
        """Return the network's accuracy under each of the conditions."""

        def noisy(place: str, standard_deviation: float) -> NDArray[np.float32]:
            return add_noise(
                images,
                place,
                standard_deviation,
                np.random.default_rng(self.noise_seed),
                form=self.form,
                threshold=self.threshold,
                width=self.width,
            )

        found = [accuracy(model, noisy(place, one), labels) for _, place, one in self.conditions]
        return np.array(found)


def accuracy(model: Any, images: NDArray[np.float32], labels: NDArray[np.uint8]) -> float:
    """Return the share of images, (n, height, width, channels), that a network has right."""
    return float((predicted(model, images) == labels).mean())


def closest(accuracies: Accuracies) -> list[tuple[Any, ...]]:
    """Find where the three accuracies are closest to the paper's.

    Parameters
    ----------
    accuracies
        With all three places for each form and standard deviation.

    Returns
    -------
    list of tuple
        A row a form, the closest first: form, standard deviation, the root mean square of the three
        differences of the mean accuracies, and of each place the accuracies' mean and spread.
    """
    rows = []
    for form in forms_of(accuracies):
        by_distance = [
            (_distance_to_paper(accuracies, form, one), one)
            for one in standard_deviations_of(accuracies, form)
        ]
        distance, standard_deviation = min(by_distance)
        found = [accuracies[form, place, standard_deviation] for place in PAPER_ACCURACIES]
        statistics = [
            float(value) for one in found for value in (np.mean(one), sample_deviation(one))
        ]
        rows.append((form, standard_deviation, distance, *statistics))
    return sorted(rows, key=lambda row: row[2])


def ranges(accuracies: Accuracies) -> list[tuple[Any, ...]]:
    """Find where each part of the paper's claim holds.

    Parameters
    ----------
    accuracies
        With all three places for each form and standard deviation.

    Returns
    -------
    list of tuple
        A row a form and part of the claim: form, claim, the standard deviations, separated by
        spaces, at which it holds on average and those at which it holds for each network, the
        largest average lead and at which standard deviation it is, the smallest, and where it is.
    """
    rows: list[tuple[Any, ...]] = []
    for form in forms_of(accuracies):
        for claim, (above, below) in ORDER.items():
            leads = {
                one: accuracies[form, above, one] - accuracies[form, below, one]
                for one in standard_deviations_of(accuracies, form)
            }
            means = {one: float(np.mean(lead)) for one, lead in leads.items()}
            largest, smallest = max(means, key=means.__getitem__), min(means, key=means.__getitem__)
            rows.append(
                (
                    form,
                    claim,
                    " ".join(f"{one:g}" for one, mean in means.items() if mean > 0),
                    " ".join(f"{one:g}" for one, lead in leads.items() if np.all(lead > 0)),
                    means[largest],
                    largest,
                    means[smallest],
                    smallest,
                )
            )
    return rows


def forms_of(accuracies: Accuracies) -> list[str]:
    """Return the forms of noise that were measured."""
    return [one for one in dict.fromkeys(form for form, _, _ in accuracies) if one != _CLEAN[0]]


def standard_deviations_of(accuracies: Accuracies, form: str) -> list[float]:
    """Return the standard deviations at which a form of noise was measured, the smallest first."""
    return sorted({one for other, _, one in accuracies if other == form})


def _distance_to_paper(accuracies: Accuracies, form: str, standard_deviation: float) -> float:
    differences = [
        np.mean(accuracies[form, place, standard_deviation]) - paper
        for place, paper in PAPER_ACCURACIES.items()
    ]
    return float(np.sqrt(np.mean(np.square(differences))))


def accuracies_of_clean_images(accuracies: Accuracies) -> NDArray[np.float64]:
    """Return the accuracy of each network without noise, (networks,)."""
    return accuracies[_CLEAN]


def read_accuracies(path: Path) -> Accuracies:
    """Read ``accuracies.csv`` of a folder of results."""
    found: dict[tuple[str, str, float], list[float]] = {}
    for row in read_csv(path):
        condition = (row["form"], row["place"], float(row["standard_deviation"]))
        found.setdefault(condition, []).append(float(row["accuracy"]))
    return {condition: np.array(values) for condition, values in found.items()}
