"""The kill-switch: a way back that is safe at any timing. `table` has its theory of operation."""
