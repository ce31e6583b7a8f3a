"""The operations that a graph is made of, each linear once the state is held."""

from insens_tf.operations.arrangements import (
    Add,
    Concatenate,
    Cropping,
    Permutation,
    Resampling,
    Reshape,
    ZeroPadding,
)
from insens_tf.operations.channel_scaling import BatchNormalization, ChannelScaling, Scaling
from insens_tf.operations.ends import Input, OutputActivation, Refused
from insens_tf.operations.gates import Gate, RatioGate
from insens_tf.operations.matrix import Matrix
from insens_tf.operations.operation import ELEMENT_WORK, Affine, Computed, Operation
from insens_tf.operations.pooling import (
    AveragePooling,
    GlobalAveragePooling,
    MaxPooling,
    Pooling,
    WindowElement,
)
from insens_tf.operations.weighted_sums import (
    Convolution,
    DepthwiseConvolution,
    LocallyConnected,
    TransposedConvolution,
)

__all__ = [
    "ELEMENT_WORK",
    "Add",
    "Affine",
    "AveragePooling",
    "BatchNormalization",
    "ChannelScaling",
    "Computed",
    "Concatenate",
    "Convolution",
    "Cropping",
    "DepthwiseConvolution",
    "Gate",
    "GlobalAveragePooling",
    "Input",
    "LocallyConnected",
    "Matrix",
    "MaxPooling",
    "Operation",
    "OutputActivation",
    "Permutation",
    "Pooling",
    "RatioGate",
    "Refused",
    "Resampling",
    "Reshape",
    "Scaling",
    "TransposedConvolution",
    "WindowElement",
    "ZeroPadding",
]
