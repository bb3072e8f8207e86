"""Queries of the table `xcom`: complete SQL statements and the reading of their rows.

What is queried. XComObjectStorageBackend leaves in `xcom.value` the path of the object, as a JSON
string, where another value would be. Nothing else in the row shows it. So a row holds an offloaded
value if it is a JSON string that begins with a base path, with a slash behind it, that was ever
delivered; the caller names all of these. A string that a task returned and that looks the same is
taken for one: the backend itself would read it as a path, too.

How it is recognized. By first bytes (`paths.row_prefix`), never by decoding each value. On Airflow
2 the column is bytes, so the prefix is what Python's `json.dumps` writes: quoted, everything that
is not ASCII escaped. On Airflow 3 it is JSONB or JSON, so the string itself is compared, by bytes:
a collation would take others for the same. The size comes first: a path is short, and a size is
known without fetching a large value that the database keeps out of line. A pickled value could hold
a path and has no such first bytes: such rows are counted, and the census warns of them.

What it may cost. A census runs beside a busy scheduler, so its cost has to depend on the runs in
flight, not on the table: from `dag_run` by state, in two halves, because an OR would prevent the
use of the index, then from each run to its rows by the primary key of `xcom`, which begins with the
run. A planner that believes an outdated size of the table would rather read all of it. LATERAL with
a GROUP BY, or with OFFSET 0, is a form that it cannot reverse. tests/probe/test_census_plan.py
counts the blocks that are read, beside five million rows. What has to see the whole table goes in
ranges of runs (`scan`), each a transaction of its own.

When it is true. A census is one statement, so one snapshot. Rows that are written afterwards are
the caller's concern: the kill-switch takes the one that counts when no writer is left.

What changes. `forget` and `rehydrate` name one run by its number, lock it, and repeat the whole
condition of such a row in the statement that writes (`changes`). Whatever happened since the row
was seen, no other row can be reached; and a row is overwritten only if it still holds the path
whose object was read. So both may be stopped at any point and started again.

SQL texts, not an ORM: the models differ between the versions and import all of Airflow; four column
types in two dialects are few enough to be read one by one, and EXPLAIN shows what was written.
"""
