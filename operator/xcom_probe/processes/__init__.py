"""Which processes of this container run tasks, and how one of them is ended. No Airflow here."""
