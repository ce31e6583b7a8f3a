"""
Are wrong digits nearer to where the network switches?
======================================================

For each digit and layer, how far the middle one of all neurons is from where it switches; and how
far the digit is from where its class would change, were its region to hold everywhere. A
few digits that the network gets wrong beside some that it gets right: a hint, no statistic.
"""

import numpy as np
import tensorflow as tf
from matplotlib import pyplot as plt

import insens_tf

model = tf.keras.models.load_model("insens_tf_demo/two_conv.keras")
digits = np.load("insens_tf_demo/digits.npz")
x = digits["x_test"] / 255
network = insens_tf.SwitchedNetwork(model)

is_right = network.activity(x, network.output).argmax(axis=1) == digits["y_test"]
chosen = {"right": np.flatnonzero(is_right)[:12], "wrong": np.flatnonzero(~is_right)[:12]}
names = [layer.name for layer in network.layers]
figure, panels = plt.subplots(1, len(names) + 1, figsize=(9, 3), layout="constrained")
for place, which in enumerate(chosen.values()):
    margins = network.margins(x[which], names)
    distances = [np.median(np.abs(one).reshape(len(which), -1), axis=1) for one in margins.values()]
    distances.append([network.region(one).class_margin() for one in x[which]])
    for panel, title, values in zip(panels, [*names, "class"], distances):
        panel.boxplot([values], positions=[place], widths=0.6)
        panel.set_title(title)
for panel in panels:
    panel.set_xticks(range(2), [f"{kind}\nn = {len(which)}" for kind, which in chosen.items()])
panels[0].set_ylabel("distance in the input")
