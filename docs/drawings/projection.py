"""Figure 1: a network, its active subnetwork, and the single neuron that both are."""

from matplotlib import pyplot as plt

from experiments import figure_1, two_inputs

network = two_inputs.trained()
points, labels = two_inputs.held_out()
numbers = figure_1.measured(network, figure_1.most_mixed(network, points))
figure = plt.figure(figsize=figure_1.SIZE, layout="constrained")
figure_1.draw_on(figure, {**numbers, "moons": points, "labels": labels})
