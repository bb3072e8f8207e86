"""What DAG authors import: build provenance, structured events, transport by reference.

Runs inside Airflow's pods, on Python 3.8 and newer. `provenance` and `events` need nothing but the
standard library, so a DAG repository can also carry them as one file (`xbr vendor`).
"""
