"""
What hidden neurons look at
===========================

The weights of three neurons of the dense layer, for six digits. Where an input leaves a neuron
inactive, its weights are crossed out. A neuron of a dense layer hardly keeps to one pattern: each
digit switches another part of the network on, and the neuron sees the digit through it.
"""

import numpy as np
import tensorflow as tf
from matplotlib import pyplot as plt

import insens_tf
from insens_tf.heatmap import LEGEND, grid, heatmap, picture

model = tf.keras.models.load_model("insens_tf_demo/two_conv.keras")
x = np.load("insens_tf_demo/digits.npz")["x_test"] / 255
network = insens_tf.SwitchedNetwork(model)

# Neurons that are active for about half of the digits.
frequency = network.activation_frequency(x, ["dense"])["dense"]
neurons = np.argsort(np.abs(frequency - 0.5))[:3]

p = network.project(x[:6], "dense", neurons)
rows = [picture(p.x), *(heatmap(p.weights[:, k]) for k in range(3))]
inactive = [[False] * 6, *(p.activity.T <= 0)]
titles = ["input", *(f"dense {neuron}" for neuron in neurons)]
plt.figure(grid(rows, titles, crossed_out=inactive, title=LEGEND))
