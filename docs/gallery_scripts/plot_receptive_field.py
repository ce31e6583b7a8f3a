"""
The part of the image that a convolutional neuron sees
======================================================

Neurons of one channel of the second convolution, at three places of a digit, zoomed to the pixels
that their weights are not 0 in. Within its receptive field a convolutional neuron keeps to a
pattern much more than a dense one does; which pixels of it count depends on what the max pooling
took.
"""

import numpy as np
import tensorflow as tf
from matplotlib import pyplot as plt

import insens_tf

model = tf.keras.models.load_model("insens_tf_demo/two_conv.keras")
x = np.load("insens_tf_demo/digits.npz")["x_test"][:1] / 255
network = insens_tf.SwitchedNetwork(model)

# The channel that this digit drives most, where it does so, and at two places beside.
activity = network.activity(x, "conv_2")[0]
row, column, channel = np.unravel_index(activity.argmax(), activity.shape)
places = [(row, column, channel), (row, 3, channel), (row, 10, channel)]

plt.figure(network.project(x, "conv_2", places).plot())
