"""What training does to a network's state: measured again and again over the same inputs."""

from insens_tf.monitoring.state_curves import draw_states
from insens_tf.monitoring.state_watch import LayerState, StateMeasurement, StateWatch

__all__ = ["LayerState", "StateMeasurement", "StateWatch", "draw_states"]
