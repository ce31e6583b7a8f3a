"""
Why this class and not the next?
================================

Of a digit that the network is least sure of: the difference of its two strongest outputs, as one
projection. Red pixels speak for the first of the two against the second, blue ones against it. The
centre is the nearest image at which both would be equal, were the state to stay.
"""

import numpy as np
import tensorflow as tf
from matplotlib import pyplot as plt

import insens_tf

model = tf.keras.models.load_model("insens_tf_demo/two_conv.keras")
x = np.load("insens_tf_demo/digits.npz")["x_test"] / 255
network = insens_tf.SwitchedNetwork(model)

logits = network.activity(x, network.output)
second, first = np.sort(logits)[:, -2:].T
least_sure = np.argmin(first - second)
b, a = np.argsort(logits[least_sure])[-2:]

p = network.project(x[[least_sure]], network.output, difference=(a, b))
print(f"digit {least_sure}: v of the {a} is {p.activity[0, 0]:.3f} above that of the {b}")
plt.figure(p.plot())
