"""All that the probe knows of Airflow's inside; nothing else here imports Airflow.

Airflow is imported by name at run time: it is there in the pod, not where this is developed. What
differs between versions of Airflow goes behind the same name.
"""
