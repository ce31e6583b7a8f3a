"""What iNNvestigate offers: every registered name, what it is, its source, what it must be told."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["METHODS", "Method"]


class Method(NamedTuple):
    """A method of attribution, for those who choose one.

    Attributes
    ----------
    description
        What it is, in one line.
    source
        The publication that it is from; empty where there is none.
    needs
        The arguments that it cannot be created without.
    """

    description: str
    source: str = ""
    needs: tuple[str, ...] = ()


_SIMONYAN = "Simonyan et al. 2014, arXiv:1312.6034"
_SHRIKUMAR = "Shrikumar et al. 2016, arXiv:1605.01713"
_BACH = "Bach et al. 2015, doi:10.1371/journal.pone.0130140"
_DECOMPOSITION_DEPTH = "Bach et al. 2016, doi:10.1109/ICIP.2016.7532763"
_MONTAVON = "Montavon et al. 2017, doi:10.1016/j.patcog.2016.11.008"
_COMPOSITE = "Kohlbrenner et al. 2020, arXiv:1910.09840"

METHODS: dict[str, Method] = {
    "input": Method("the input itself, to hold the others against"),
    "random": Method("the input plus Gaussian noise, to hold the others against"),
    "gradient": Method("the output's gradient at the input", _SIMONYAN),
    "gradient.baseline": Method("the same by TensorFlow's own gradient in one piece", _SIMONYAN),
    "input_t_gradient": Method("input times gradient", _SHRIKUMAR),
    "deconvnet": Method(
        "gradient with the ReLU applied to what comes back, not to what went in",
        "Zeiler and Fergus 2014, arXiv:1311.2901",
    ),
    "guided_backprop": Method(
        "gradient with the ReLU applied to what comes back as well",
        "Springenberg et al. 2015, arXiv:1412.6806",
    ),
    "integrated_gradients": Method(
        "mean gradient on the way from a reference input, times the difference to it",
        "Sundararajan et al. 2017, arXiv:1703.01365",
    ),
    "smoothgrad": Method(
        "mean gradient over noisy copies of the input", "Smilkov et al. 2017, arXiv:1706.03825"
    ),
    "lrp": Method(
        "LRP by rules of one's own (bn_layer_rule: for batch normalisation)", _BACH, ("rule",)
    ),
    "lrp.z": Method("LRP in proportion to input times weight, biases included", _BACH),
    "lrp.epsilon": Method("LRP-z with a small epsilon that steadies the denominator", _BACH),
    "lrp.w_square": Method("LRP in proportion to the squared weight", _MONTAVON),
    "lrp.flat": Method("LRP in equal parts over each receptive field", _DECOMPOSITION_DEPTH),
    "lrp.alpha_beta": Method(
        "LRP with alpha times the positive parts less beta times the negative ones",
        _BACH,
        ("alpha or beta",),
    ),
    "lrp.alpha_2_beta_1": Method("LRP with alpha 2 and beta 1", _BACH),
    "lrp.alpha_2_beta_1_IB": Method("LRP with alpha 2 and beta 1, biases ignored", _BACH),
    "lrp.alpha_1_beta_0": Method("LRP with alpha 1 and beta 0: positive parts only", _BACH),
    "lrp.alpha_1_beta_0_IB": Method("LRP with alpha 1 and beta 0, biases ignored", _BACH),
    "lrp.z_plus": Method("LRP over positive weights only, biases ignored", _MONTAVON),
    "lrp.z_plus_fast": Method("the same, faster, where no layer's input is negative", _MONTAVON),
    "lrp.sequential_preset_a": Method(
        "LRP: epsilon in dense layers, alpha 1 beta 0 in convolutions", _COMPOSITE
    ),
    "lrp.sequential_preset_b": Method(
        "LRP: epsilon in dense layers, alpha 2 beta 1 in convolutions", _COMPOSITE
    ),
    "lrp.sequential_preset_a_flat": Method("preset a with flat in the first layer", _COMPOSITE),
    "lrp.sequential_preset_b_flat": Method("preset b with flat in the first layer", _COMPOSITE),
    "lrp.sequential_preset_b_flat_until_idx": Method(
        "preset b with flat up to the layer with index until_layer_idx in model.layers",
        _COMPOSITE,
    ),
    "deep_taylor": Method("deep Taylor decomposition for inputs of any range", _MONTAVON),
    "deep_taylor.bounded": Method(
        "deep Taylor decomposition for inputs between low and high", _MONTAVON, ("low", "high")
    ),
}
"""Every name in iNNvestigate's registry, in its order."""
