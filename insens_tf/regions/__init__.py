"""The linear regions that a network cuts its input space into."""

from insens_tf.regions.margins import BoundaryMargins
from insens_tf.regions.path import Crossings, Path
from insens_tf.regions.plane_slice import Slice
from insens_tf.regions.region import NearBoundary, Region
from insens_tf.regions.region_network import RegionNetwork
from insens_tf.regions.state_difference import StateDifference

__all__ = [
    "BoundaryMargins",
    "Crossings",
    "NearBoundary",
    "Path",
    "Region",
    "RegionNetwork",
    "Slice",
    "StateDifference",
]
