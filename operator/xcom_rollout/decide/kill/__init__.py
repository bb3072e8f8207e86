"""The kill-switch: the way back that no timing can corrupt. `table` has its theory of operation."""
