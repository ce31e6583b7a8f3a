"""What things cost, as ratios within one run. Nothing timed is asserted by a test."""
