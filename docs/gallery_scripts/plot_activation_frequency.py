"""
How often is each neuron active?
================================

Over 500 digits. On the left of each histogram are neurons that hardly ever are, on the right those
that always are, and so are linear for all that these digits show.
"""

import numpy as np
import tensorflow as tf
from matplotlib import pyplot as plt

import insens_tf

model = tf.keras.models.load_model("insens_tf_demo/two_conv.keras")
x = np.load("insens_tf_demo/digits.npz")["x_train"][:500] / 255
network = insens_tf.SwitchedNetwork(model)

frequency = network.activation_frequency(x)
dead, always = network.dead_neurons(frequency), network.always_active(frequency)
for name in frequency:
    print(f"{name}: {len(dead[name].indices)} never, {len(always[name].indices)} always active")
plt.figure(frequency.plot())
