"""The squared row norms of a layer's Jacobian: w w of every neuron, for every input.

They are the whole cost of Insens. `Way` is the interface; each module beside this one is a way to
get them, all exact, and `choose` picks one by what it costs.
"""

from insens_tf.row_norms.choice import WAYS, Choice, choose, counted
from insens_tf.row_norms.way import Cost, Way, accumulated

__all__ = ["WAYS", "Choice", "Cost", "Way", "accumulated", "choose", "counted"]
