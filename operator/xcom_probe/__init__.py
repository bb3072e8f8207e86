"""The part that runs inside Airflow's own pods: looks, compares, reports; two commands change rows.

Python 3.8 and newer, standard library plus what an Airflow pod holds. `xcom_probe.build` packs it
into one file, `xcom_probe.pyz`. A command is a file in `commands`, a check is a small function in
a table in `checks`, and only `airflow` knows Airflow's internals.
"""

__version__ = "0.1.0"
