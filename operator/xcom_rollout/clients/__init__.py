"""Thin clients of Kubernetes and Helm, and helpers for their data."""
