import duckdb
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from airflow.sdk import task


@task
def polars_frame():
    return pl.read_csv("a.csv").filter(True)  # XCA005 high


@task
def lazy():
    return pl.scan_parquet("a.parquet")  # XCA005 high


@task
def collected():
    return pl.scan_parquet("a.parquet").collect().to_dicts()


@task
def arrow():
    return pa.table({"a": [1]})  # XCA006 high


@task
def parquet():
    return pq.read_table("a.parquet")  # XCA006 high


@task
def rows():
    return pq.read_table("a.parquet").to_pylist()


@task
def query():
    connection = duckdb.connect()
    return connection.execute("select 1").df()  # XCA003 high
