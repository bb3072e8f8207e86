"""The values of the round trip, and their comparison by value and type. No Airflow here."""
