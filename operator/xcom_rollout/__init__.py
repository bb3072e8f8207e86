"""The controller that changes an Airflow release's XCom backend in safe steps."""

import sys

__version__ = "0.1.0"

if sys.version_info < (3, 11):  # noqa: UP036
    # The distribution installs on older ones for the sake of xcom_dags.
    sys.exit("xcom_rollout (xbr and the operator) needs Python 3.11 or newer")
