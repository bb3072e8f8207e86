"""The controller that changes an Airflow release's XCom backend in safe steps."""

__version__ = "0.1.0"
