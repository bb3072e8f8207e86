"""Thin clients of Kubernetes, Helm and Airflow, and the forms in which facts are kept there."""
