"""Fashion-MNIST: ``python -m data_scripts.fashion_mnist --out DIR [--source DIR]``.

Xiao, Rasul and Vollgraf, https://github.com/zalandoresearch/fashion-mnist, in MNIST's file format.
"""

from __future__ import annotations

from data_scripts.idx import idx_data_set
from data_scripts.preparation import command

__all__ = ["FASHION_MNIST", "main"]

FASHION_MNIST = idx_data_set(
    name="fashion_mnist",
    title="Fashion-MNIST",
    # Served without encryption; the checksums are what makes that safe.
    addresses=("http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",),
    content_md5={
        "x_train": "f4a8712d7a061bf5bd6d2ca38dc4d50a",
        "y_train": "9018921c3c673c538a1fc5bad174d6f9",
        "x_test": "8181f5470baa50b63fa0f6fddb340f0a",
        "y_test": "15d484375f8d13e6eb1aabb0c3f46965",
    },
)

main = command(
    FASHION_MNIST,
    "Write fashion_mnist.npz (x_train, y_train, x_test, y_test) from the official files.",
)


if __name__ == "__main__":
    main(prog_name="python -m data_scripts.fashion_mnist")
