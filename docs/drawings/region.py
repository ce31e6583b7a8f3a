"""The linear regions of a network of two inputs, and how far one of them reaches."""

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.patches import Circle

from experiments import figure_1, two_inputs
from experiments.plane_drawing import draw_line, draw_point, draw_regions

network = two_inputs.trained()
points, _ = two_inputs.held_out()
x = figure_1.most_mixed(network, points)
cut = two_inputs.plane(network)
region = network.region(x)
(nearest,) = region.nearest(1)

figure = plt.figure(figsize=(6.4, 4.6), layout="constrained")
panel = figure.subplots()
polygons = [cut.at(one) for one in cut.polygons]
draw_regions(panel, polygons, [two_inputs.region_of(network, x, cut)], outline="#c07000")
for w, b in zip(*region.affine("hidden_1"), strict=True):
    draw_line(panel, w, b, color="black", linewidth=0.8)
panel.add_patch(Circle(x, region.radius(), fill=False, linewidth=1))
draw_point(panel, nearest.point, f"{nearest.layer} {nearest.index[0]} switches", markersize=3.5)
draw_point(panel, x, "x", (-5, -5))
panel.set_title(f"{len(cut)} regions; x is {np.round(region.radius(), 2)} from leaving its own")
