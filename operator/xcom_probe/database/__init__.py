"""The metadata database: which one it is, a transaction that cannot write, and the one that can.

Importing Airflow takes most of a second and is not needed to ask one question of its database. So
the address is read as Airflow reads it where that is certain, and only otherwise taken from
Airflow itself.
"""
