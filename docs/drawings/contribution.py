"""What each pixel adds to an output: x w, and the contribution (x - c) w."""

import numpy as np
import tensorflow as tf
from matplotlib import pyplot as plt

import insens_tf
from insens_tf.heatmap import LEGEND, grid, heatmap, picture

model = tf.keras.models.load_model("insens_tf_demo/two_conv.keras")
x = np.load("insens_tf_demo/digits.npz")["x_test"][:2] / 255
network = insens_tf.SwitchedNetwork(model)
logits = network.activity(x, network.output)

rows, titles = [], []
for digit, strongest in zip(x, logits.argmax(axis=1), strict=True):
    p = network.project(digit[np.newaxis], network.output, [strongest])
    w, contribution = p.weights[0, 0], p.contribution[0, 0]
    products = digit * w
    rows.append([picture(digit), heatmap(w), heatmap(products), heatmap(contribution)])
    titles.append(
        [
            None,
            f"v of the {strongest}: {p.activity[0, 0]:.2f}",
            f"sum: {products.sum():.2f}",
            f"sum: {contribution.sum():.2f}",
        ]
    )
columns = ["input x", "weights w", "x w", "contribution\n(x − c) w"]
plt.figure(grid(rows, None, columns, cell_titles=titles, title=LEGEND, cell_pixels=168))
