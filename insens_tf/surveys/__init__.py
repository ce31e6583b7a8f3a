"""A network over a whole data set: computed shard by shard by workers, kept, and opened lazily."""

from insens_tf.surveys.margin_histogram import MarginHistogram
from insens_tf.surveys.survey_run import survey
from insens_tf.surveys.survey_store import ShardedMaps, Survey
from insens_tf.surveys.top_inputs import TopInputs

__all__ = ["MarginHistogram", "ShardedMaps", "Survey", "TopInputs", "survey"]
