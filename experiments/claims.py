"""The table of the paper's claims, made from the results in ``experiments/results``.

``python -m experiments.claims`` prints it, and ``--into experiments/README.md`` puts it there. The
numbers are read from the results; whether a claim holds is a sentence written here by who looked
at them.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import click
import numpy as np

from benchmarks.report import inserted
from experiments.data import TITLES
from experiments.methods import (
    BASELINES,
    INSENS_LAYERS,
    INSENS_METHODS,
    METHOD_TITLES,
    PENULTIMATE,
)
from experiments.tables import read_csv
from insens_tf.files import whole_file

__all__ = ["CLAIMS", "RESULTS", "Claim", "commands", "main", "table"]

RESULTS = Path(__file__).parent / "results"

_PENULTIMATE = INSENS_METHODS[PENULTIMATE]


@dataclass(frozen=True)
class Claim:
    """A claim of the paper, and what became of it.

    Attributes
    ----------
    claim
        In short.
    paper
        Its number, or where it stands if it has none.
    ours
        Reads our number from the folders of results.
    results
        Names of the folders that it is from.
    verdict
        A sentence that says whether the claim holds.
    """

    claim: str
    paper: str
    ours: Callable[[], str]
    results: tuple[str, ...]
    verdict: str


def _rows(result: str, file: str, **wanted: str) -> list[dict[str, str]]:
    """Return the rows of a table of results that hold these values, at least one."""
    rows = [
        row
        for row in read_csv(RESULTS / result / file)
        if all(row[column] == value for column, value in wanted.items())
    ]
    if not rows:
        raise ValueError(f"{result}/{file}: expected a row with {wanted}, found none")
    return rows


def _row(result: str, file: str, **wanted: str) -> dict[str, str]:
    (row,) = _rows(result, file, **wanted)
    return row


def _of_networks(rows: Sequence[dict[str, str]], column: str) -> str:
    """Return the mean and the standard deviation over networks of a share, in percent."""
    values = [100 * float(row[column]) for row in rows]
    mean = f"{np.mean(values):.1f}"
    if len(values) == 1:
        return f"{mean} % (n = 1)"
    return f"{mean} ± {np.std(values):.1f} % (n = {len(values)})"


def _accuracy(place: str) -> str:
    """Return the accuracies in the noise that comes closest to the paper's three."""
    deviation = _row("noise_table", "closest.csv", form="signed")["standard_deviation"]
    wanted = {"form": "signed", "place": place, "standard_deviation": deviation}
    rows = _rows("noise_table", "accuracies.csv", **wanted)
    accuracy = _of_networks(rows, "accuracy")
    return (
        f"{accuracy}, noise around 0 of standard deviation {float(deviation):g}; "
        f"{_over_settings(place)} with other settings"
    )


def _over_settings(measured: str) -> str:
    """Return the least and the most over how else 2CONV was built and trained."""
    found: dict[str, list[float]] = {}
    for row in _rows("open_settings", "open_settings.csv", measured=measured):
        found.setdefault(row["setting"], []).append(100 * float(row["value"]))
    means = [float(np.mean(values)) for values in found.values()]
    return f"{min(means):.1f} to {max(means):.1f} %"


def _lead(claim: str) -> str:
    found = []
    for row in _rows("noise_table", "ranges.csv", claim=claim):
        deviations = row["holds_for_each_network_at"].split()
        where = f"from {deviations[0]} to {deviations[-1]}" if deviations else "at none"
        found.append(f"{row['form'].replace('_', ' ')} noise {where}")
    seeds = {row["seed"] for row in _rows("noise_table", "accuracies.csv")}
    where = ", of ".join(found)
    return f"for each of {len(seeds)} networks at standard deviations of {where}"


def _share(counted: str) -> str:
    wanted = {"dataset": "mnist", "network": "trained", "counted": counted}
    return _of_networks(_rows("activity_mnist", "shares.csv", **wanted), "share")


def _active() -> str:
    averages = {
        "all": "of all hidden neurons",
        "all in subnetwork": "where losing in max pooling is inactive",
        "mean of layers in subnetwork": "is the mean of the layers' then",
    }
    layers = ", ".join(
        f"{_share(layer)} of l = {number}" for layer, number in INSENS_LAYERS.items()
    )
    over_all = "; ".join(
        f"{_share(counted)} {said}, {_over_settings(counted)} with other settings"
        for counted, said in averages.items()
    )
    return f"{layers}; {over_all}"


def _similarity() -> str:
    similar = {row["layer"]: row for row in _rows("figure_2", "similarity.csv")}
    return "mean cosine of a neuron's w for two inputs: " + ", ".join(
        f"l = {number}: {float(similar[layer]['mean']):.2f}"
        for layer, number in INSENS_LAYERS.items()
    )


def _black_fields() -> str:
    return "; ".join(
        f"l = {INSENS_LAYERS[row['layer']]}: {float(row['active_in_black_fields']):.1%} of those "
        "that see only black are active"
        for row in _rows("figure_2", "black_fields.csv")
    )


def _robustness(place: str, measure: str, methods: Sequence[str]) -> str:
    found = []
    for method in methods:
        wanted = {"place": place, "method": method, "measure": measure, "explained": "predicted"}
        row = _row("figure_4", "robustness.csv", **wanted)
        found.append(f"{_title(method)} {_correlation(row)}")
    return ", ".join(found)


def _contrast() -> str:
    methods = (_PENULTIMATE, "gradient")
    positive = _robustness("clean", "digit_positive", methods)
    negative = _robustness("clean", "outline_negative", methods)
    return f"positive share on the digit: {positive}; negative share on its outline: {negative}"


def _still_shown() -> str:
    methods = (_PENULTIMATE, "gradient", "integrated_gradients", "deep_taylor")
    return "correlation with the clean image's map, " + "; ".join(
        f"{place}: {_robustness(place, 'signed', methods)}"
        for place in ("bordered", "background", "framed")
    )


def _alike(first: str, others: Sequence[str], result: str) -> str:
    found = []
    for other in others:
        rows = [
            row
            for row in _rows(result, "correlations.csv", dataset="cifar10", correlation="signed")
            if {row["first"], row["second"]} == {first, other}
        ]
        found.append(f"{_title(other)} {_correlation(rows[0])}")
    return ", ".join(found)


def _correlation(row: Mapping[str, str]) -> str:
    # Added to, the negative zero that rounding may leave loses its sign.
    return f"{round(float(row['mean']), 2) + 0.0:.2f}"


def _title(method: str) -> str:
    return METHOD_TITLES[method].replace("\n", " ")


def _checked(
    against: str, methods: Sequence[str], explained: str = "original", kind: str = "signed"
) -> str:
    found = []
    for method in methods:
        of = "layer" if method in _LAYERS else explained
        wanted = {"against": against, "explained": of, "correlation": kind}
        row = _row("figure_7", "summary.csv", method=method, **wanted)
        spread = float(row["variance_over_networks"]) ** 0.5
        found.append(f"{_title(method)} {_correlation(row)} ± {spread:.2f}")
    return f"{', '.join(found)} (n = {row['networks']})"


def _checked_penultimate(against: str) -> str:
    signed, absolute = (_checked(against, _LOW, kind=kind) for kind in ("signed", "absolute"))
    return f"{signed}; of magnitudes {absolute}"


def _all_neurons() -> str:
    return "; ".join(
        f"{TITLES[dataset]}: "
        + ", ".join(
            f"l = {number} {_correlation(_variant(dataset, layer, 'all'))}"
            for layer, number in INSENS_LAYERS.items()
        )
        for dataset in ("mnist", "fashion_mnist", "cifar10")
    )


def _variant(dataset: str, layer: str, variant: str) -> dict[str, str]:
    wanted = {"dataset": dataset, "layer": layer, "variant": variant, "measure": "signed"}
    return _row("variants", "likeness.csv", **wanted)


_LOW = ("gradient", "integrated_gradients", "lrp.epsilon", _PENULTIMATE)
_HIGH = ("deep_taylor", "lrp.alpha_1_beta_0")
_LAYERS = tuple(INSENS_METHODS.values())
_UNTRAINED, _SHUFFLED = "untrained", "shuffled labels"

CLAIMS = (
    Claim(
        "2CONV's test accuracy on clean MNIST",
        "over 99 %",
        lambda: _of_networks(_rows("noise_table", "accuracies.csv", place="clean"), "accuracy"),
        ("noise_table",),
        "Holds, after 3 epochs already; after 8 it is 99.4 %.",
    ),
    Claim(
        "neurons that are active for an MNIST input, on average (2, B.1)",
        "17 %",
        _active,
        ("activity_mnist", "activity", "open_settings"),
        "Most neurons are inactive, as the paper says. 17 % is between two averages in which what "
        "loses in max pooling is inactive, as the paper deems it: over all neurons, and of layers "
        "that weigh the same; the latter is 17.4 % in a network trained for 8 epochs.",
    ),
    Claim(
        "accuracy with noise but on the digit and its outline (3)",
        "87 %",
        lambda: _accuracy("bordered"),
        ("noise_table", "open_settings"),
        "Holds within the spread over networks, in the noise in which the three numbers "
        "together come closest to the paper's; neither its form nor its standard deviation is "
        "given.",
    ),
    Claim(
        "accuracy with noise but on the digit and as many pixels along the frame (3)",
        "45 %",
        lambda: _accuracy("framed"),
        ("noise_table", "open_settings"),
        "Holds within the spread over networks.",
    ),
    Claim(
        "accuracy with noise but on the digit (3)",
        "32 %",
        lambda: _accuracy("background"),
        ("noise_table", "open_settings"),
        "Does not hold as it stands: it is nearly as good as with the frame clean. The three "
        "networks have 36, 45 and 52 %; one with 16 and 32 filters has 29 %.",
    ),
    Claim(
        "the outline kept is worth more than as many pixels of the frame (3)",
        "87 % and 45 %",
        lambda: _lead("outline > frame"),
        ("noise_table", "open_settings"),
        "Holds for each network, form of noise and standard deviation, with leads of up to 39 to "
        "71 points, and with each of the other settings.",
    ),
    Claim(
        "the frame kept is worth more than nothing (3)",
        "45 % and 32 %",
        lambda: _lead("frame > none"),
        ("noise_table", "open_settings"),
        "Holds for each network in noise around 0 alone, and by at most 3 points, not 13; of the "
        "other settings 16 and 32 filters lead by 7 points, kernels of 3x3 by none, nor did a "
        "network trained for 8 epochs instead of 3. In other noise the clean frame is mostly worse "
        "than none, by up to 8 points.",
    ),
    Claim(
        "a neuron is not sensitive to one pattern for all inputs (2, Figure 2)",
        "by eye",
        _similarity,
        ("figure_2",),
        "Holds: fully connected neurons hardly keep a direction, convolutional ones do in part, "
        "and those of the first layer by construction.",
    ),
    Claim(
        "some neurons that see only black pixels are active (2, Figure 2)",
        "by eye",
        _black_fields,
        ("figure_2",),
        "Holds: in l = 1 all with a positive bias; rare in l = 3.",
    ),
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
        "Does not hold at a noise that gives the paper's accuracies: with the outline clean all "
        "keep some of it, Deep Taylor most; with noise up to the digit none shows it clearly.",
    ),
    Claim(
        "Insens of the penultimate layer might not seem all that different from others on "
        "CIFAR-10 (3, Figure 5)",
        "by eye",
        lambda: "correlation with Insens: " + _alike(_PENULTIMATE, tuple(BASELINES), "figure_5"),
        ("figure_5",),
        "Holds by eye for the methods with signs; the correlation is moderate.",
    ),
    Claim(
        "Insens of earlier layers shows more of the input (3, Figure 6)",
        "by eye",
        lambda: "correlation with the input: " + _alike("input", _LAYERS, "figure_6"),
        ("figure_6",),
        "Holds, by eye too: from a drawing of edges at l = 1 to speckle at l = 5.",
    ),
    Claim(
        "Insens of the penultimate layer correlates as little as Gradient and Integrated "
        "gradients, trained against untrained (3, Figure 7)",
        "Figure 7, first",
        lambda: _checked_penultimate(_UNTRAINED),
        ("figure_7",),
        "Holds: Insens is near 0 as the three are; of magnitudes it is on par with Gradient, and "
        "the two that are multiplied by the input are above both.",
    ),
    Claim(
        "so it does against shuffled labels (3, Figure 7)",
        "Figure 7, second",
        lambda: _checked_penultimate(_SHUFFLED),
        ("figure_7",),
        "Does not hold of signed maps, of which it is clearly above the three, which are at 0; of "
        "magnitudes it is between Gradient and the others. Both kinds were trained until they fit, "
        "on 2,500 images.",
    ),
    Claim(
        "Deep Taylor correlates very highly (3, Figure 7)",
        "Figure 7, first and second",
        lambda: (
            f"untrained: {_checked(_UNTRAINED, _HIGH)}; shuffled: {_checked(_SHUFFLED, _HIGH)}; "
            f"each network's own class explained, untrained: {_checked(_UNTRAINED, _HIGH, 'own')}; "
            f"shuffled: {_checked(_SHUFFLED, _HIGH, 'own')}"
        ),
        ("figure_7",),
        "Holds, and for LRP (alpha 1, beta 0) where each network explains its own class: its sign "
        "is that of the explained output, which for another network's class may be negative.",
    ),
    Claim(
        "Insens correlates more the closer the layer is to the input (3, Figure 7)",
        "Figure 7, third and fourth",
        lambda: (
            f"untrained: {_checked(_UNTRAINED, _LAYERS)}; shuffled: {_checked(_SHUFFLED, _LAYERS)}"
        ),
        ("figure_7",),
        "Holds against both.",
    ),
    Claim(
        "the sum over all neurons does not change the maps in a significant way (4)",
        "by eye",
        lambda: f"correlation with Insens, {_all_neurons()}",
        ("variants",),
        "Holds for MNIST and Fashion-MNIST, and for l = 3 and l = 5 of CIFAR-10; at its l = 1 "
        "the active neurons add a frame and tint bright areas.",
    ),
)


def table(claims: Sequence[Claim] = CLAIMS) -> str:
    """Return the table of claims in Markdown."""
    rows = [
        (one.claim, one.paper, one.ours(), ", ".join(map(_link, one.results)), one.verdict)
        for one in claims
    ]
    head = ("claim (section)", "paper", "here", "results", "does it hold?")
    return _markdown(head, rows)


def commands() -> str:
    """Return the table of the commands that made the results, and how long they took."""
    rows = []
    for path in sorted(RESULTS.glob("*/run.json")):
        record = json.loads(path.read_text(encoding="utf-8"))
        networks = record.get("networks", [])
        training = sum(network["seconds"] or 0 for network in networks)
        rows.append(
            (
                _link(path.parent.name),
                f"`{record['command']}`",
                str(len(networks)),
                _duration(record["seconds"]),
                _duration(training) if training else "",
            )
        )
    head = ("results", "command", "networks", "time", "training before it")
    return _markdown(head, rows)


def _link(result: str) -> str:
    return f"[{result}](results/{result})"


def _markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    # Not padded: sentences in cells would make every line as long as the longest of them.
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"


@click.command()
@click.option("--into", type=click.Path(dir_okay=False, exists=True, path_type=Path))
def main(into: Path | None) -> None:
    """Print the tables of claims and of commands, or put them into a page."""
    tables = {"claims": table(), "commands": commands()}
    if into is None:
        click.echo("\n\n".join(tables.values()))
        return
    page = into.read_text(encoding="utf-8")
    for name, text in tables.items():
        page = inserted(page, name, text)
    with whole_file(into) as partial:
        partial.write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main(prog_name="python -m experiments.claims")
