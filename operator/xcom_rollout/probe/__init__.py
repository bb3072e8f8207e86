"""The probe, run in Jobs and in pods, and what it answers."""
