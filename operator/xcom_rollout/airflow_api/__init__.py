"""Airflow's REST API: versions, login, rights, runs."""
