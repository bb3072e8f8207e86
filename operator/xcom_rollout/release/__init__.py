"""An Airflow release as Kubernetes shows it: workloads, pods, configuration."""
