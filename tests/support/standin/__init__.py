"""What is absent beside an API server: a node with its controllers, and Airflow.

Nothing here is asked by the operator directly but Airflow's REST API; everything else it sees as
objects in the real API server, logs and processes in pods included.
"""
