"""The same network for two inputs: which of its neurons are active."""

import numpy as np
from matplotlib import pyplot as plt

from experiments import figure_1, two_inputs

network = two_inputs.trained()
points, labels = two_inputs.held_out()
x = figure_1.most_mixed(network, points)


def states(inputs):
    layers = network.activity(inputs, list(network.layers)).values()
    return np.concatenate([activity > 0 for activity in layers], axis=1)


# Of the other moon, the point that shares the fewest states.
others = points[labels != labels[(points == x).all(axis=1).argmax()]]
other = others[(states(others) != states(x[np.newaxis])).sum(axis=1).argmax()]

figure = plt.figure(figsize=(7.2, 3.2), layout="constrained")
for panel, one in zip(figure.subplots(1, 2), (x, other), strict=True):
    figure_1.draw_network(panel, figure_1.layers_at(network, one))
    on = states(one[np.newaxis])[0]
    panel.set_title(f"{on.sum()} of {on.size} neurons are active", fontsize=9)
