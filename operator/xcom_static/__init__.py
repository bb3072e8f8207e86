"""What DAG files may put into XCom, read from their source: nothing is imported or run.

    source -> flow -> audit
    (files, names, tasks) -> (values) -> (rules, effects, findings)

Python 3.8 and newer, standard library only: it runs in Airflow's pods (as a part of the probe), on
laptops (`xbr audit`) and under the linter. `source` knows nothing of values, and neither it nor
`flow` knows XCom's rules; other readers of DAG code can use them alone.
"""
