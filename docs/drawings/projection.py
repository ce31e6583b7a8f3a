"""Figure 1: a network, its active subnetwork, and the single neuron that both are."""

from matplotlib import pyplot as plt

from experiments import figure_1, two_inputs

figure = plt.figure(figsize=figure_1.SIZE, layout="constrained")
numbers = figure_1.measured(two_inputs.trained(), *two_inputs.held_out())
figure_1.draw_on(figure, numbers)
