"""The demo: a flip and a kill on a real cluster, with live progress."""
