"""Lifecycle rules for a prefix, merged into the single lifecycle configuration of a bucket."""
