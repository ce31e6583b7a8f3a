"""
From black to a digit
=====================

The straight line from a black image to a digit. Above, the outputs on the way: straight between
any two places where the state changes, so that nothing is missed. Below, how much of each layer
has switched by then, as a share of all that does.
"""

import numpy as np
import tensorflow as tf
from matplotlib import pyplot as plt

import insens_tf

model = tf.keras.models.load_model("insens_tf_demo/two_conv.keras")
x = np.load("insens_tf_demo/digits.npz")["x_test"][0] / 255
network = insens_tf.SwitchedNetwork(model)

path = network.path(np.zeros_like(x), x)
print(path)
t = np.linspace(0, 1, 200)
logits = path.activity(t, network.output)

figure, (above, below) = plt.subplots(2, sharex=True, figsize=(7, 5), layout="constrained")
for digit in np.argsort(logits[-1])[:-4:-1]:
    above.plot(t, logits[:, digit], label=f"the {digit}")
for layer, count in path.state_changes().items():
    switched = path.crossings.t[path.crossings.layer == layer]
    below.plot(t, np.searchsorted(switched, t) / count, label=f"{layer}: {count:,}")
above.set_ylabel("outputs, before the softmax")
below.set_ylabel("share switched")
below.set_xlabel("from black (0) to the digit (1)")
for panel in (above, below):
    panel.legend(frameon=False, fontsize=8)
