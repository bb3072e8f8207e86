"""Lifecycle rules for a prefix, merged into the one lifecycle configuration that a bucket has."""
