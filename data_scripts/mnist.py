"""MNIST: ``python -m data_scripts.mnist --out DIR [--source DIR]``.

LeCun, Cortes and Burges, http://yann.lecun.com/exdb/mnist/. The authors' server no longer hands the
files out; the addresses are two well-known mirrors of them.
"""

from __future__ import annotations

from data_scripts.idx import idx_data_set
from data_scripts.preparation import command

__all__ = ["MNIST", "main"]

MNIST = idx_data_set(
    name="mnist",
    title="MNIST",
    addresses=(
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
        "https://storage.googleapis.com/cvdf-datasets/mnist/",
    ),
    content_md5={
        "x_train": "6bbc9ace898e44ae57da46a324031adb",
        "y_train": "a25bea736e30d166cdddb491f175f624",
        "x_test": "2646ac647ad5339dbf082846283269ea",
        "y_test": "27ae3e4e09519cfbb04c329615203637",
    },
)

main = command(
    MNIST, "Write mnist.npz (x_train, y_train, x_test, y_test) from the official MNIST files."
)


if __name__ == "__main__":
    main(prog_name="python -m data_scripts.mnist")
