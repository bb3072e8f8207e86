"""Airflow's own: variables, connections, hooks, the task's context."""

from __future__ import annotations

from xcom_static.flow.signatures.notation import each

CALLS: dict[str, str] = {
    "airflow.models.Variable.get": "~str",
    "airflow.models.variable.Variable.get": "~str",
    "airflow.sdk.Variable.get": "~str",
    "airflow.hooks.base.BaseHook.get_connection": "airflow-connection",
    "airflow.sdk.BaseHook.get_connection": "airflow-connection",
    "airflow.models.Connection": "airflow-connection",
    "airflow.models.connection.Connection": "airflow-connection",
    "airflow.models.connection.Connection.get_connection_from_secrets": "airflow-connection",
    "airflow.sdk.Connection.get": "airflow-connection",
    "airflow.utils.timezone.utcnow": "datetime",
    "airflow.utils.dates.days_ago": "datetime",
}

METHODS: dict[str, dict[str, str]] = {
    "airflow-connection": {"get_uri": "str"},
    "hook": {
        "get_records": "~list[tuple]",
        "get_first": "~tuple",
        **each("get_pandas_df get_df", "dataframe"),
        "get_pandas_df_by_chunks": "generator",
        "get_df_by_chunks": "generator",
        **each("get_sqlalchemy_engine", "engine"),
        **each("get_conn", "client"),
        "get_cursor": "cursor",
        "get_connection": "airflow-connection",
        **each("get_session", "session"),
        "read_key": "str",
        **each("list_keys list_prefixes", "list[str]"),
        **each("check_for_key check_for_bucket", "bool"),
        "get_key": "client",
        "get_bucket": "client",
        "download_file": "str",
    },
}

ATTRIBUTES: dict[str, dict[str, str]] = {
    "airflow-connection": {
        **each("host login password schema conn_id conn_type", "str"),
        "port": "int",
        "extra": "?json-str",
        "extra_dejson": "dict",
    },
    "ti": {
        **each("dag_id task_id run_id", "str"),
        **each("try_number map_index", "int"),
        "task": "airflow-object",
        "dag_run": "dag-run",
    },
    "dag-run": {"conf": "", "run_id": "str", **each("logical_date start_date", "datetime")},
}

# What Airflow hands to a task, by name: in the context and as a parameter of that name.
CONTEXT: dict[str, str] = {
    "ti": "ti",
    "task_instance": "ti",
    "dag": "airflow-object",
    "task": "airflow-object",
    "dag_run": "dag-run",
    "conf": "airflow-object",
    "macros": "module",
    "ds_nodash": "json-str",
    **each("ds ts ts_nodash ts_nodash_with_tz run_id", "str"),
    "task_instance_key_str": "str",
    **each("logical_date execution_date data_interval_start data_interval_end", "datetime"),
    "params": "",
}
