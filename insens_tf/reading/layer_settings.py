"""What the layer rules know of a layer's settings; a layer with any other is refused.

A setting is an argument of a layer's constructor. Its rule uses it, by itself or by what follows
from it (weights, the shape of the result), or it has no effect at inference. Any other, such as a
later Keras adds, has to be what it is where it is left out.
"""

from __future__ import annotations

import warnings
from typing import Any

__all__ = ["USED", "has_no_effect", "unknown_settings", "way_out_of"]

_POOLING = "pool_size strides padding data_format"
_CONVOLUTION = "kernel_size strides padding data_format dilation_rate activation use_bias"
_RANDOM = "seed rng_type force_generator"
# LoRA and quantisation are seen in the kernel.
_KERNEL = "lora_rank lora_alpha quantization_config"

# Layer kinds, the settings that their rule uses, and those without effect at inference.
_TABLE = (
    ("Activation", "activation", ""),
    ("ActivityRegularization", "", "l1 l2"),
    ("Add Average Maximum Minimum Subtract", "", ""),
    ("AlphaDropout Dropout", "", f"rate noise_shape {_RANDOM}"),
    ("AveragePooling1D AveragePooling2D AveragePooling3D", _POOLING, ""),
    (
        "BatchNormalization",
        "axis epsilon center scale",
        "momentum synchronized renorm renorm_clipping renorm_momentum fused virtual_batch_size "
        "adjustment",
    ),
    ("Concatenate", "axis", ""),
    ("Conv1D Conv2D Conv3D", f"filters groups {_CONVOLUTION} {_KERNEL}", ""),
    (
        "Conv1DTranspose Conv2DTranspose Conv3DTranspose",
        f"filters output_padding {_CONVOLUTION}",
        "",
    ),
    ("Cropping1D Cropping2D Cropping3D", "cropping data_format", ""),
    ("Dense", f"units activation use_bias {_KERNEL}", ""),
    ("DepthwiseConv1D DepthwiseConv2D", f"depth_multiplier {_CONVOLUTION}", ""),
    ("Flatten", "data_format", ""),
    ("GaussianDropout", "", f"rate {_RANDOM}"),
    ("GaussianNoise", "", f"stddev {_RANDOM}"),
    (
        "GlobalAveragePooling1D GlobalAveragePooling2D GlobalAveragePooling3D",
        "data_format keepdims",
        "",
    ),
    ("GlobalMaxPooling1D GlobalMaxPooling2D GlobalMaxPooling3D", "data_format keepdims", ""),
    ("Identity", "", ""),
    ("LeakyReLU", "alpha negative_slope", ""),
    ("LocallyConnected1D LocallyConnected2D", f"filters implementation {_CONVOLUTION}", ""),
    ("MaxPooling1D MaxPooling2D MaxPooling3D", _POOLING, ""),
    ("Normalization", "axis mean variance invert", ""),
    ("PReLU", "shared_axes", ""),
    ("Permute", "dims", ""),
    ("ReLU", "max_value negative_slope threshold", ""),
    ("RepeatVector", "n", ""),
    ("Rescaling", "scale offset", ""),
    ("Reshape", "target_shape", ""),
    # Without pad_to_aspect_ratio nothing is filled.
    (
        "Resizing",
        "height width interpolation data_format",
        "fill_mode fill_value factor bounding_box_format",
    ),
    ("SeparableConv1D SeparableConv2D", f"filters depth_multiplier {_CONVOLUTION}", ""),
    ("Softmax", "axis", ""),
    (
        "SpatialDropout1D SpatialDropout2D SpatialDropout3D",
        "",
        f"rate noise_shape data_format {_RANDOM}",
    ),
    ("ThresholdedReLU", "theta", ""),
    ("UpSampling1D UpSampling2D UpSampling3D", "size data_format interpolation", ""),
    ("ZeroPadding1D ZeroPadding2D ZeroPadding3D", "padding data_format", ""),
)

# Settings of every layer: its name, and how it is called, trained and kept. The dtype that it
# computes in is known from its results.
_NO_EFFECT = "name trainable dtype autocast batch_input_shape activity_regularizer"
_NO_EFFECT_ENDS = ("_constraint", "_initializer", "_regularizer")

USED = {kind: used.split() for kinds, used, _ in _TABLE for kind in kinds.split()}
"""The settings that the rule of each layer kind uses."""

_WITHOUT_EFFECT = {
    kind: f"{none} {_NO_EFFECT}".split() for kinds, _, none in _TABLE for kind in kinds.split()
}

_WAYS_OUT = {
    "antialias": "resize without, and retrain",
    "crop_to_aspect_ratio": "crop by a Cropping2D layer and resize what is left",
    "pad_to_aspect_ratio": "pad by a ZeroPadding2D layer and resize what that gives",
}


def has_no_effect(kind: str, setting: str) -> bool:
    """Tell whether a setting of a layer kind that has a rule never shows at inference."""
    return setting in _WITHOUT_EFFECT[kind] or setting.endswith(_NO_EFFECT_ENDS)


def way_out_of(setting: str) -> str:
    """Return the way out where a setting is not known."""
    return _WAYS_OUT.get(setting, "rebuild the layer without, or cut the model before it")


def unknown_settings(layer: Any) -> dict[str, tuple[Any, Any]]:
    """Return the settings that its rule does not know and that are set: expected and found values.

    Parameters
    ----------
    layer : Keras layer
        A layer of a kind that has a rule.
    """
    kind = type(layer).__name__
    if getattr(layer, "dynamic", False):
        # Keras 2 does not tell of it, and makes the weights when the layer is first used.
        return {"dynamic": (False, True)}

    def is_known(name: str) -> bool:
        return name in USED[kind] or has_no_effect(kind, name)

    with warnings.catch_warnings():
        # Keras warns of an activation that is a lambda, which is not kept anywhere.
        warnings.simplefilter("ignore")
        found = _configuration(layer)
        unknown = {name: value for name, value in found.items() if not is_known(name)}
        if not unknown:
            return {}
        expected = _with_defaults(layer, {name: found[name] for name in found if is_known(name)})
    return {
        name: (expected.get(name), value)
        for name, value in unknown.items()
        if repr(expected.get(name)) != repr(value)
    }


def _configuration(layer: Any) -> dict[str, Any]:
    try:
        return layer.get_config()
    except Exception:
        # Keras cannot write down every activation; such a layer has the settings of one without it.
        used = USED[type(layer).__name__]
        known = {name: getattr(layer, name) for name in used if hasattr(layer, name)}
        defaults = _with_defaults(layer, known)
        return {name: getattr(layer, name, value) for name, value in defaults.items()}


def _with_defaults(layer: Any, settings: dict[str, Any]) -> dict[str, Any]:
    """Return the configuration of such a layer with these settings; its class knows the others."""
    given = {
        name: "linear" if name == "activation" else value
        for name, value in settings.items()
        if not name.endswith(_NO_EFFECT_ENDS)
    }
    try:
        return type(layer).from_config(given).get_config()
    except Exception:
        # A setting that cannot be left out has no default.
        return {}
