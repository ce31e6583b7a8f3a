"""How crops are pushed through each kind of operation: one rule a kind.

A new kind has its rule in a module beside this one, which is imported here, and needs nothing else.
"""

from insens_tf.row_norms.crops.rules import (
    arrangement_rules,
    dense_rules,
    pooling_rules,
    scaling_rules,
    window_sum_rules,
)
from insens_tf.row_norms.crops.rules.crop_rule import CropRule, HeldState, NoCropsError
from insens_tf.row_norms.crops.rules.rule_lookup import OPERATIONS_WITHOUT_CROPS, rule_of

__all__ = [
    "OPERATIONS_WITHOUT_CROPS",
    "CropRule",
    "HeldState",
    "NoCropsError",
    "arrangement_rules",
    "dense_rules",
    "pooling_rules",
    "rule_of",
    "scaling_rules",
    "window_sum_rules",
]
