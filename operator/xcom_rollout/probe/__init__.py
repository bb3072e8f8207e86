"""The probe, run in Jobs and in pods, and its results."""
