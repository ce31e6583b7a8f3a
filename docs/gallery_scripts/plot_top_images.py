"""
Which images drive a channel most?
==================================

A survey of the training digits keeps, of every channel, the images that drive it most. Here those
of four channels of the second convolution, the strongest first. A channel has a liking for a
stroke in one direction, more than for a class.
"""

import tempfile

import numpy as np
import tensorflow as tf
from matplotlib import pyplot as plt

import insens_tf
from insens_tf.heatmap import grid, picture

model = tf.keras.models.load_model("insens_tf_demo/two_conv.keras")
x = np.load("insens_tf_demo/digits.npz")["x_train"] / 255

with tempfile.TemporaryDirectory() as folder:
    survey = insens_tf.survey(model, x, f"{folder}/survey", ["top"], jobs=1, layers=["conv_2"])
    rows = [survey.top("conv_2", channel).inputs for channel in range(4)]

titles = [f"channel {channel}" for channel in range(4)]
plt.figure(grid([picture(x[row]) for row in rows], titles, cell_pixels=56))
