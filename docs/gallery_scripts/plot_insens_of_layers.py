"""
Insens of every hidden layer
============================

What in a digit keeps the inactive neurons of each layer off. The first layer sees edges, the same
of every digit; the later the layer, the less is left of the digit, and the more it is about what
the network makes of it.
"""

import numpy as np
import tensorflow as tf
from matplotlib import pyplot as plt

import insens_tf

model = tf.keras.models.load_model("insens_tf_demo/two_conv.keras")
digits = np.load("insens_tf_demo/digits.npz")
network = insens_tf.SwitchedNetwork(model)

# A neuron counts by how often it is active for other digits.
frequency = network.activation_frequency(digits["x_train"][:500] / 255)
x = digits["x_test"][:4] / 255
plt.figure(network.plot_insens(x, frequency=frequency))
