"""Which files there are, and what each defines: scopes, imports, calls, DAGs and tasks."""
