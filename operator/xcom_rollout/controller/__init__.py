"""The loop: events into a work queue, pass after pass, and the reports about it."""
