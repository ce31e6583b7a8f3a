"""
A plane through three images, cut into its linear regions
=========================================================

The plane through a digit and two points a little way to other digits. Each polygon is one linear
region, in which the network is one affine map; shades tell neighbours apart.
"""

import numpy as np
import tensorflow as tf
from matplotlib import pyplot as plt

import insens_tf

model = tf.keras.models.load_model("insens_tf_demo/two_conv.keras")
x = np.load("insens_tf_demo/digits.npz")["x_test"][:3] / 255
network = insens_tf.SwitchedNetwork(model)

# A little away from the digit itself, whose black pixels tie in max poolings.
start = x[0] + 0.05 * (x.mean(axis=0) - x[0])
near = start + 4e-4 * (x[1:] - x[0])
plane = network.slice(start, *near)
print(plane)
plt.figure(plane.plot())
