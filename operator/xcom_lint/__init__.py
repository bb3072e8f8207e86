"""Rules for DAG code, for reviewers and editors: `xbr lint`.

A rule is a file in `rules`. It gets a `DagFile`, the syntax tree with names resolved, and says what
it found; levels, suppressions, the baseline and the output are not its business. Nothing is
imported or run, and nothing of Airflow has to be installed.
"""
