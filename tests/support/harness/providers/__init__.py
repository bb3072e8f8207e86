"""Where a cluster comes from: a node of our own, kind, or what is already there."""
