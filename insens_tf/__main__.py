"""`python -m insens_tf` is `insens-tf`."""

import sys

from insens_tf.cli.program import main

sys.exit(main())
