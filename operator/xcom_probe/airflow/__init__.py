"""Everything the probe knows of Airflow's internals; nothing else here imports Airflow.

Airflow is imported by name at run time: it is there in the pod, not where this is developed.
Differences between versions of Airflow are hidden behind one name.
"""
