"""How many pods a load needs: the autoscaler's rule, and a fleet simulated under it."""
