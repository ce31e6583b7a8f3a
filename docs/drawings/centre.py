"""Figure 3: a neuron's centre, within the region of x and beyond it."""

from matplotlib import pyplot as plt

from experiments import figure_3, two_inputs

points, _ = two_inputs.held_out()
figure = plt.figure(figsize=figure_3.SIZE, layout="constrained")
figure_3.draw_on(figure, figure_3.measured(two_inputs.trained(), points))
