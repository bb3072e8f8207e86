"""The metadata database, read-only: which one it is, and a transaction that cannot write.

Importing Airflow takes most of a second and is not needed to ask one question of its database. So
the address is read as Airflow reads it where that is certain, and only otherwise taken from
Airflow itself.
"""
