"""The loop: events into a work queue, pass after pass, what people are told of it."""
