"""The merging of a survey's shards: counts, the most driving inputs, histograms of margins."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from insens_tf import files
from insens_tf.activation_frequency import ActivationFrequency
from insens_tf.files.file_errors import reading
from insens_tf.surveys.margin_histogram import MarginHistogram
from insens_tf.surveys.survey_work import FREQUENCY, SurveyWork, shard_name
from insens_tf.surveys.top_inputs import TopInputs

__all__ = ["MERGED", "merge_shards"]

MERGED = "merged.h5"


def merge_shards(work: SurveyWork) -> None:
    """Write what the shards have in common, each read once; their order does not matter."""
    import h5py  # type: ignore[import-untyped]

    folder = Path(work.folder)
    counts: dict[str, Any] = {}
    tops: dict[int, TopInputs] = {}
    margins: dict[int, MarginHistogram] = {}
    largest = 0.0
    for shard in range(work.shards):
        path = folder / shard_name("states", shard)
        with reading(path, "shard"), h5py.File(path, "r") as file:
            largest = max(largest, float(file["largest_input"][()]))
            for number, name in enumerate(work.layers):
                if "frequency" in work.what:
                    counts[name] = counts.get(name, 0) + file[f"counts/{number}"][()]
                if "top" in work.what:
                    here = TopInputs._make(
                        file[f"top/{number}/{one}"][()] for one in TopInputs._fields
                    )
                    parts = [tops[number], here] if number in tops else [here]
                    tops[number] = TopInputs.merged(parts, work.top)
                if "margins" in work.what:
                    histogram = MarginHistogram(file[f"margins/{number}"][()])
                    margins[number] = (
                        margins[number] + histogram if number in margins else histogram
                    )
    if "frequency" in work.what:
        ActivationFrequency(counts, int(work.inputs["count"]), largest).save(folder / FREQUENCY)
    with files.whole_file(folder / MERGED) as partial, h5py.File(partial, "w") as file:
        for number, found in tops.items():
            for one, values in found._asdict().items():
                file[f"top/{number}/{one}"] = values
        for number, histogram in margins.items():
            file[f"margins/{number}"] = histogram.counts
