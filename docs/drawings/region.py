"""The linear regions of a network of two inputs, and how far one of them reaches."""

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.patches import Circle

from experiments import two_inputs
from experiments.plane_drawing import draw_line, draw_point, draw_regions

network = two_inputs.trained()
points, _ = two_inputs.held_out()
# The input with the most room in its region, within the window.
radii = network.boundary_margins(points, progress=False).nearest()
room = [two_inputs.in_window(points + side * radii[:, np.newaxis]) for side in (-1, 1)]
x = points[np.where(np.all(room, axis=0), radii, -1).argmax()]
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
draw_point(panel, nearest.point, "the nearest boundary", (-5, 5), markersize=3.5)
draw_point(panel, x, "x", (5, -5))
panel.set_title(f"{len(cut)} regions; the circle's radius is {region.radius():.2f}", fontsize=9)
