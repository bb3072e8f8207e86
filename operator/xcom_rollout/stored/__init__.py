"""What the operator keeps in the cluster: ledgers, rollouts, and their names."""
