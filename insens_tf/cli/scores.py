"""The scores that compare gives its maps, and those that any method must beat."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import click
import numpy as np
from numpy.typing import NDArray

from insens_tf import files
from insens_tf.cli.messages import CommandError, said_in_one_line, shows_progress
from insens_tf.progress import progress_bar

__all__ = ["Scores", "checked_scores", "score_maps", "score_option"]

_SCORES = ("deletion", "insertion", "mu_fidelity")
_BETTER = {"deletion": "smaller", "insertion": "larger", "mu_fidelity": "larger"}


class Scores(NamedTuple):
    """The scores of the maps of methods.

    Attributes
    ----------
    values : dict of str to dict of str to array (n,)
        By the score, by the method; of curves the area.
    curves : dict of str to dict of str to ScoreCurves
    """

    values: dict[str, dict[str, NDArray[Any]]]
    curves: dict[str, dict[str, Any]]

    def table(self) -> str:
        """Return the means over the images, as a table."""
        import tabulate

        methods = list(next(iter(self.values.values())))
        rows = [
            [method, *(f"{_mean(found[method]):.4f}" for found in self.values.values())]
            for method in methods
        ]
        heads = [f"{score} ({_BETTER[score]} is better)" for score in self.values]
        return tabulate.tabulate(
            rows,
            ["maps", *heads],
            colalign=["left", *["right"] * len(heads)],
            disable_numparse=True,
        )

    def write(self, folder: Path, names: Sequence[str]) -> None:
        """Write scores.csv, a line for each image, method and score, and scores.png."""
        files.write_csv(
            folder / "scores.csv",
            ("image", "maps", "score", "value"),
            (
                (name, method, score, value)
                for score, found in self.values.items()
                for method, values in found.items()
                for name, value in zip(names, values, strict=True)
            ),
        )
        if self.curves:
            from insens_tf.evaluation.score_plot import plot_curves

            plot_curves(self.curves).savefig(folder / "scores.png")


def checked_scores(texts: Sequence[str]) -> list[str]:
    """Read the values of --score, each of which may name several."""
    names = [name.strip() for text in texts for name in text.split(",")]
    for name in names:
        if name not in _SCORES:
            raise CommandError(f"--score {name or repr(name)}: expected some of {_listed()}")
    return list(dict.fromkeys(names))


def _listed() -> str:
    return ", ".join(_SCORES)


score_option = click.option(
    "--score",
    "score_texts",
    multiple=True,
    metavar="NAME,...",
    help=f"Also score the maps, as if the larger a value the more it spoke for the predicted "
    f"class: some of {_listed()}. Random maps, edges and the distance to the object are scored, "
    "too, which any method must beat.",
)


def score_maps(
    names: Sequence[str],
    model: Any,
    x: NDArray[Any],
    classes: NDArray[np.int64],
    maps: Mapping[str, NDArray[Any]],
    black: float,
) -> Scores:
    """Score maps (n, *input_shape), by the methods' titles, and those of the baselines."""
    from insens_tf import evaluation

    with said_in_one_line():
        baselines = {
            f"({name})": evaluation.baseline_maps(x, name) for name in evaluation.BASELINE_MAPS
        }
        scores = Scores({name: {} for name in names}, {})
        works = [(name, *one) for name in names for one in {**maps, **baselines}.items()]
        for name, method, values in progress_bar(works, shown=shows_progress(), desc="scores"):
            found = getattr(evaluation, name)(model, x, values, classes, baseline=black)
            if isinstance(found, evaluation.ScoreCurves):
                scores.curves.setdefault(name, {})[method] = found
                found = found.area
            scores.values[name][method] = found
    return scores


def _mean(values: NDArray[Any]) -> float:
    """Return the mean over the images for which a score is defined."""
    defined = values[np.isfinite(values)]
    return float(defined.mean()) if len(defined) else float("nan")
