"""`python -m insens_tf.cli` is `insens-tf`."""

import sys

from insens_tf.cli.program import main

sys.exit(main())
