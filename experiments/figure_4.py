"""Figure 4: the methods on clean MNIST, and with noise around the digits.

``python -m experiments.figure_4`` writes ``figure_4.png`` and the numbers of its panels, which are
clean, bordered, background and framed MNIST, and ``robustness.csv``, which says over random test
images how well the maps keep to the digit:

- its rank correlation with the map of the same image without noise;
- ``localisation``: the share of the map's magnitude that is on the digit and its outline, over the
  share of the pixels that these are; 1 where a map does not care;
- ``digit_positive`` and ``outline_negative``: the positive share of the map's magnitude on the
  digit, and the negative share of that on its outline. Both are 1 in a map that shows the digit's
  contrast of white and black, and a half in one that does not care.

Methods other than Insens explain one class. It is the one that the network predicts for the noisy
image, as in the picture, and in further rows the one that it predicts for the clean image.

The paper gives neither form nor standard deviation of the noise; both are options.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import click
import numpy as np
from numpy.typing import NDArray

from experiments.data import TITLES
from experiments.experiment import Experiment, Run
from experiments.maps_figure import (
    Panel,
    draw_panels,
    examples,
    names_of_inputs,
    random_images,
    summary,
    write_panel,
)
from experiments.method_maps import (
    INSENS_METHODS,
    PENULTIMATE,
    baseline_maps,
    method_maps,
    method_name,
    predicted,
)
from experiments.noise_accuracy import FORM_TITLES
from experiments.paper_claim import Claim, mean_correlation, result_row
from experiments.tables import write_csv
from insens_tf.evaluation import (
    CORRELATIONS,
    NOISE_FORMS,
    NOISE_PLACES,
    add_noise,
    digit_mask,
    outline_mask,
    rank_correlation,
)

__all__ = ["CLAIMS", "draw", "localisation", "main", "share_of_sign"]

Maps = Mapping[str, NDArray[np.float32]]

_HEAD = ("place", "method", "explained", "measure", "defined", "mean", "standard_deviation")


def draw(folder: Path) -> None:
    """Draw the panels of a folder of results."""
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    form, deviation = FORM_TITLES[config["form"]], config["standard_deviation"]
    note = (
        "{images} test images, which one network, trained without noise, classifies correctly "
        f"without noise. Noise: {form}, of standard deviation {deviation:g}, where white is 1. "
        "Inputs: black is 0 and less, white 1 and more."
    )
    draw_panels(folder, "figure_4.png", note)


def localisation(maps: NDArray[np.floating], region: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return how much of each map is in a region: share of magnitude over share of pixels.

    Parameters
    ----------
    maps
        (n, height, width, channels).
    region
        (n, height, width).

    Returns
    -------
    numpy.ndarray of float64, shape (n,)
        1 where the region is as strong as the whole; NaN of a map or a region that is empty.
    """
    magnitude = np.abs(maps).sum(axis=-1, dtype=np.float64)
    inside = np.where(region, magnitude, 0).sum(axis=(1, 2))
    return _ratio(inside, magnitude.sum(axis=(1, 2)) * region.mean(axis=(1, 2)))


def share_of_sign(
    maps: NDArray[np.floating], region: NDArray[np.bool_], sign: int
) -> NDArray[np.float64]:
    """Return which share of each map's magnitude in a region is positive, or negative.

    Parameters
    ----------
    maps
        (n, height, width, channels).
    region
        (n, height, width).
    sign
        1 or -1.

    Returns
    -------
    numpy.ndarray of float64, shape (n,)
        NaN of a map that is 0 all over the region.
    """
    inside = np.where(region[..., np.newaxis], maps, 0).astype(np.float64)
    axes = (1, 2, 3)
    return _ratio((sign * inside).clip(min=0).sum(axis=axes), np.abs(inside).sum(axis=axes))


def _ratio(part: NDArray[np.float64], whole: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.divide(part, whole, out=np.full_like(part, np.nan), where=whole > 0)


def compute(run: Run, images: int, count: int, form: str, standard_deviation: float) -> None:
    """Draw the methods and Insens over clean and noisy MNIST (Figure 4)."""
    count = min(count, 10) if run.quick else count
    dataset = run.dataset
    model = run.trained(dataset)
    generator = np.random.default_rng(run.seed)
    x_test = run.images(dataset)
    chosen = examples(run.labels(dataset), predicted(model, x_test), images, generator)
    clean = np.concatenate([x_test[chosen], random_images(x_test, count, generator)])
    noisy = np.stack(
        [
            add_noise(clean, place, standard_deviation, np.random.default_rng(run.seed), form=form)
            for place in NOISE_PLACES
        ]
    )
    # Over all places at once the activation frequency is counted only once.
    x_train = run.images(dataset, "train")
    maps = _of_places(noisy, lambda x: method_maps(model, x, x_train, [PENULTIMATE]))
    for p, place in enumerate(NOISE_PLACES):
        of_shown = {name: some[p, :images] for name, some in maps.items()}
        shown = noisy[p, :images]
        names = names_of_inputs(dataset, run.labels(dataset)[chosen], predicted(model, shown))
        panel = Panel(f"{place} {TITLES[dataset]}", shown, of_shown, names)
        write_panel(run.folder / f"{p + 1}_{place}.npz", panel)

    measured = {name: some[:, images:] for name, some in maps.items()}
    clean_maps = {name: some[0] for name, some in measured.items()}
    rows = _rows("predicted", NOISE_PLACES, clean[images:], measured, clean_maps)
    _, *noisy_places = NOISE_PLACES
    classes = np.tile(predicted(model, clean[images:]), len(noisy_places))
    measured = _of_places(noisy[1:, images:], lambda x: baseline_maps(model, x, classes))
    rows += _rows("predicted without noise", noisy_places, clean[images:], measured, clean_maps)
    write_csv(run.folder / "robustness.csv", _HEAD, rows)


def _of_places(
    noisy: NDArray[np.float32], maps_of: Callable[[NDArray[np.float32]], Maps]
) -> dict[str, NDArray[np.float32]]:
    """Return maps of images of several places, shaped as they: (places, n, height, ...)."""
    found = maps_of(noisy.reshape(-1, *noisy.shape[2:]))
    return {name: maps.reshape(noisy.shape) for name, maps in found.items()}


def _rows(
    explained: str, places: Sequence[str], clean: NDArray[np.float32], maps: Maps, clean_maps: Maps
) -> list[tuple[Any, ...]]:
    digit = digit_mask(clean)
    outline = outline_mask(digit)
    rows: list[tuple[Any, ...]] = []
    for p, place in enumerate(places):
        for name, of_places in maps.items():
            some = of_places[p]
            measures = {
                kind: rank_correlation(some, clean_maps[name], kind) for kind in CORRELATIONS
            }
            measures["localisation"] = localisation(some, digit | outline)
            measures["digit_positive"] = share_of_sign(some, digit, 1)
            measures["outline_negative"] = share_of_sign(some, outline, -1)
            rows += [
                (place, name, explained, measure, *summary(values))
                for measure, values in measures.items()
            ]
    return rows


def _robustness(place: str, measure: str, methods: Sequence[str]) -> str:
    found = []
    for method in methods:
        wanted = {"place": place, "method": method, "measure": measure, "explained": "predicted"}
        row = result_row("figure_4", "robustness.csv", **wanted)
        found.append(f"{method_name(method)} {mean_correlation(row)}")
    return ", ".join(found)


def _contrast() -> str:
    methods = (INSENS_METHODS[PENULTIMATE], "gradient")
    positive = _robustness("clean", "digit_positive", methods)
    negative = _robustness("clean", "outline_negative", methods)
    return f"positive share on the digit: {positive}; negative share on its outline: {negative}"


def _still_shown() -> str:
    methods = (INSENS_METHODS[PENULTIMATE], "gradient", "integrated_gradients", "deep_taylor")
    measures = {
        "correlation with the clean image's map": "signed",
        "localisation on the digit and its outline": "localisation",
    }
    return ". ".join(
        f"{title}, "
        + "; ".join(
            f"{place}: {_robustness(place, measure, methods)}"
            for place in ("bordered", "background", "framed")
        )
        for title, measure in measures.items()
    )


CLAIMS = (
    Claim(
        "Insens shows the contrast of a digit and its outline (3, Figure 4)",
        "by eye",
        _contrast,
        ("figure_4",),
        "Holds, plainest on round digits; more than Gradient does. Integrated gradients, LRP "
        "and Deep Taylor are 0 on black pixels by construction.",
    ),
    Claim(
        "in noise others lose the digit, Insens still shows it (3, Figure 4)",
        "by eye",
        _still_shown,
        ("figure_4",),
        "Does not hold at a noise that gives the paper's accuracies, by eye: with the outline "
        "clean all keep some of it, Deep Taylor most; with noise up to the digit none shows it "
        "clearly. By correlation Insens is then first, and second when framed; by localisation "
        "it is near the bottom, hardly more on the digit than elsewhere.",
    ),
)


main = Experiment(
    "figure_4",
    compute,
    draw,
    datasets=("mnist",),
    options=(
        click.Option(
            ["--images"], default=5, show_default=True, help="Number of images in each panel."
        ),
        click.Option(
            ["--count"],
            default=100,
            show_default=True,
            help="Number of test images that are measured.",
        ),
        click.Option(
            ["--form"], default="signed", show_default=True, type=click.Choice(list(NOISE_FORMS))
        ),
        click.Option(
            ["--standard-deviation"],
            default=1.0,
            show_default=True,
            help="The noise's standard deviation; white is 1.",
        ),
    ),
).command()


if __name__ == "__main__":
    main(prog_name="python -m experiments.figure_4")
