"""`python -m xcom_rollout.cli` is `xbr`."""

from xcom_rollout.cli import main

main(prog_name="xbr")
