"""Insens as a sum of steps in the plane, and as a map of a digit."""

import numpy as np
import tensorflow as tf
from matplotlib import pyplot as plt
from scipy.spatial.distance import pdist

import insens_tf
from experiments import two_inputs
from experiments.plane_drawing import (
    NEGATIVE,
    POSITIVE,
    draw_arrow,
    draw_line,
    draw_point,
    draw_regions,
)
from insens_tf.heatmap import heatmap, picture

FEWEST = 2
"""So many neurons of the layer are inactive at least."""


def draw_plane(panel):
    """Draw the centres of a layer's inactive neurons, and the sum of the steps from them to x."""
    network = two_inputs.trained()
    layer = network.layers[0]
    moons, _ = two_inputs.held_out()
    (left, bottom), (right, top) = two_inputs.WINDOW
    grid = np.mgrid[left + 0.4 : right - 0.4 : 40j, bottom + 0.4 : top - 0.4 : 30j]
    points = grid.reshape(2, -1).T
    p = network.project(points, layer)
    inside = two_inputs.in_window(p.centre.reshape(-1, 2)).reshape(p.activity.shape)
    inactive = p.activity <= 0
    frequency = network.activation_frequency(moons, progress=False)
    omega = network.insens(points, layer, frequency, progress=False)
    # It leads away from the lines of them all, which it need not.
    leads_away = ((points[:, np.newaxis] - p.centre) * omega[:, np.newaxis]).sum(axis=-1) > 0
    can_be_drawn = ((inside & leads_away) | ~inactive).all(axis=1)
    can_be_drawn &= two_inputs.in_window(points + omega) & (inactive.sum(axis=1) >= FEWEST)

    def told_apart(n):
        """Return the least distance of x, its centres, and where their sum leads."""
        return pdist(np.vstack([points[n], points[n] + omega[n], p.centre[n, inactive[n]]])).min()

    n = max(np.flatnonzero(can_be_drawn), key=told_apart)
    x, off = points[n], np.flatnonzero(inactive[n])
    draw_regions(panel, [])
    for neuron in off:
        share = frequency[layer.name][neuron]
        w, b = p.weights[n, neuron], p.bias[n, neuron]
        draw_line(panel, w, b, color=NEGATIVE, linewidth=0.8)
        centre = p.centre[n, neuron]
        draw_arrow(panel, centre, x, color="0.5", linewidth=0.4 + 2 * share)
        away = 7 * (centre - x) / np.linalg.norm(centre - x)
        draw_point(panel, centre, f"{share:.2f}", tuple(away), color=NEGATIVE, markersize=3.5)
    draw_arrow(panel, x, x + omega[n], color=POSITIVE, linewidth=2, mutation_scale=14, shrinkB=0)
    draw_point(panel, x, "x", (5, -5))
    panel.set_title("steps from centres, with m/N, to x; from x on, their weighted sum", fontsize=9)


def draw_digit(panels):
    """Draw a digit and Insens of the dense layer of 2CONV."""
    model = tf.keras.models.load_model("insens_tf_demo/two_conv.keras")
    digits = np.load("insens_tf_demo/digits.npz")
    network = insens_tf.SwitchedNetwork(model)
    frequency = network.activation_frequency(digits["x_train"][:500] / 255, progress=False)
    x = digits["x_test"][:1] / 255
    omega = network.insens(x, "dense", frequency, progress=False)
    drawn = {"a digit": picture(x[0]), "Insens of dense": heatmap(omega[0])}
    for panel, (title, image) in zip(panels, drawn.items(), strict=True):
        panel.imshow(image, interpolation="none")
        panel.set_title(title, fontsize=9)
        panel.set(xticks=[], yticks=[])


figure = plt.figure(figsize=(7.2, 3.8), layout="constrained")
panels = figure.subplot_mosaic([["plane", "digit"], ["plane", "map"]], width_ratios=[2.9, 1])
draw_plane(panels["plane"])
draw_digit([panels["digit"], panels["map"]])
