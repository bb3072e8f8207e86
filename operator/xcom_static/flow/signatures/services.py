"""HTTP, databases, clouds, and other clients."""

from __future__ import annotations

from xcom_static.flow.signatures.notation import each

CALLS: dict[str, str] = {
    **each("get post put patch delete head request options", "http-response", "requests."),
    **each("get post put patch delete head request options", "http-response", "httpx."),
    **each("Session session", "http-client", "requests."),
    **each("Client AsyncClient", "http-client", "httpx."),
    "aiohttp.ClientSession": "client",
    **{
        f"{name}.connect": "connection"
        for name in (
            *("psycopg2", "psycopg", "pymysql", "mysql.connector", "snowflake.connector"),
            *("duckdb", "oracledb", "pyodbc", "trino.dbapi", "MySQLdb", "clickhouse_driver"),
        )
    },
    **each("create_engine engine.create_engine", "engine", "sqlalchemy."),
    "sqlalchemy.orm.Session": "session",
    **each("client resource", "boto-client", "boto3."),
    "boto3.Session": "boto-session",
    "boto3.session.Session": "boto-session",
    **each(
        "storage.Client bigquery.Client pubsub_v1.PublisherClient firestore.Client",
        "client",
        "google.cloud.",
    ),
    "pymongo.MongoClient": "client",
    **each("Redis StrictRedis from_url", "client", "redis."),
    "elasticsearch.Elasticsearch": "client",
    "paramiko.SSHClient": "client",
    "minio.Minio": "client",
    "kubernetes.client.CoreV1Api": "client",
    "openai.OpenAI": "client",
    "PIL.Image.open": "image",
    "networkx.DiGraph": "object",
    "networkx.Graph": "object",
    "bs4.BeautifulSoup": "object",
    "yaml.dump": "str",
}

METHODS: dict[str, dict[str, str]] = {
    "http-response": {"json": "", "iter_content": "iterator", "iter_lines": "iterator"},
    "http-client": {**each("get post put patch delete request", "http-response")},
    "connection": {
        **each("cursor", "cursor"),
        "execute": "cursor",
        **each("commit rollback close", "none"),
    },
    "cursor": {
        **each("fetchall fetchmany", "~list[tuple]"),
        "fetchone": "~tuple",
        "execute": "~cursor",
        **each("df fetchdf fetch_df", "dataframe"),
        "arrow": "arrow-table",
    },
    # A database's connection, by a hook's get_conn(): nothing else has cursors.
    "client": {"cursor": "cursor"},
    "engine": {"connect": "connection", "raw_connection": "connection", "begin": "connection"},
    "boto-session": {**each("client resource", "boto-client")},
    "boto-client": {"get_paginator": "client", "get_waiter": "client", "close": "none"},
    "streaming-body": {"read": "bytes", "iter_lines": "iterator", "iter_chunks": "iterator"},
}

# Arguments of connections and cursors that make rows something else than tuples.
ROW_ARGUMENTS = frozenset(
    {
        *("cursor_factory", "row_factory", "cursor_class", "cursorclass"),
        *("dictionary", "as_dict", "named_tuple"),
    }
)

ATTRIBUTES: dict[str, dict[str, str]] = {
    "http-response": {
        "content": "bytes",
        "text": "?json-str",
        "status_code": "int",
        "headers": "object",
        "cookies": "object",
        "url": "str",
        "ok": "bool",
        "raw": "file",
    },
}

ANNOTATIONS: dict[str, str] = {
    "requests.Response": "http-response",
    "requests.Session": "http-client",
}
