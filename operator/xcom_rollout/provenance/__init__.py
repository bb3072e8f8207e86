"""Which build an Airflow release has loaded: seen in its pods, held against a commit."""
