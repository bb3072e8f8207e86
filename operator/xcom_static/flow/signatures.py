"""What well-known calls, attributes and methods give, in the notation of `kinds.shape`.

`~` marks what usually holds, `?` what often does. Whatever is in no table is unknown, and nothing
is reported of it.
"""

from __future__ import annotations

_FRAME = "dataframe"


def _each(names: str, shape: str, prefix: str = "") -> dict[str, str]:
    return {prefix + name: shape for name in names.split()}


# Builtins whose result does not depend on what they are given; the others are in `calls`.
BUILTINS: dict[str, str] = {
    **_each("len int hash id ord", "int"),
    **_each("isinstance issubclass callable hasattr all any bool", "bool"),
    **_each("repr ascii chr hex oct bin format input", "str"),
    "float": "float",
    "round": "~float",
    "complex": "complex",
    "bytes": "bytes",
    "bytearray": "bytearray",
    "memoryview": "object",
    "object": "object",
    "range": "range",
    "divmod": "tuple",
    "print": "none",
    "Exception": "exception",
    "ValueError": "exception",
    "RuntimeError": "exception",
}

CALLS: dict[str, str] = {
    # numpy
    **_each(
        "array asarray ascontiguousarray asfarray zeros ones empty full arange linspace logspace"
        " eye identity zeros_like ones_like empty_like full_like concatenate stack vstack hstack"
        " dstack column_stack tile repeat reshape ravel sort argsort unique where nonzero"
        " diff cumsum cumprod convolve histogram genfromtxt loadtxt fromfile frombuffer fromiter"
        " matmul outer transpose squeeze expand_dims clip append delete insert split array_split"
        " meshgrid log log10 log2 exp sqrt sin cos tan abs isnan",
        "ndarray",
        "numpy.",
    ),
    **_each("log log10 log2 exp sqrt sin cos tan abs isnan round dot", "?ndarray", "numpy."),
    **_each("rand randn random_sample standard_normal permutation", "ndarray", "numpy.random."),
    **_each("mean std var median average percentile quantile", "?np-float64", "numpy."),
    **_each("sum max min prod amax amin nansum nanmax nanmin", "?np-scalar", "numpy."),
    **_each("nanmean nanstd nanmedian corrcoef", "?np-float64", "numpy."),
    **_each("int8 int16 int32 int64 uint8 uint16 uint32 uint64 int_", "np-int64", "numpy."),
    **_each("float64 float_", "np-float64", "numpy."),
    **_each("float16 float32", "np-float32", "numpy."),
    **_each("bool_", "np-bool", "numpy."),
    **_each("datetime64 timedelta64", "np-datetime64", "numpy."),
    **_each("isclose allclose array_equal", "bool", "numpy."),
    "numpy.random.default_rng": "np-generator",
    "numpy.load": "~ndarray",
    # pandas
    **_each(
        "DataFrame read_excel read_parquet read_feather read_orc read_pickle read_sql"
        " read_sql_query read_sql_table read_fwf read_table read_gbq read_hdf read_xml"
        " merge pivot_table pivot melt json_normalize get_dummies crosstab",
        _FRAME,
        "pandas.",
    ),
    "pandas.concat": "~dataframe",
    "pandas.Series": "series",
    **_each("Index date_range bdate_range period_range MultiIndex", "pd-index", "pandas."),
    "pandas.Timestamp": "pd-timestamp",
    "pandas.Timedelta": "pd-timedelta",
    "pandas.to_datetime": "~pd-timestamp",
    "pandas.to_numeric": "~series",
    "pandas.cut": "~series",
    "pandas.qcut": "~series",
    # polars, pyarrow
    **_each(
        "DataFrame read_csv read_parquet read_json read_ndjson read_excel read_database read_ipc"
        " from_dict from_dicts from_pandas from_arrow from_records concat",
        "pl-dataframe",
        "polars.",
    ),
    "polars.Series": "pl-series",
    **_each("LazyFrame scan_csv scan_parquet scan_ndjson scan_ipc", "pl-lazyframe", "polars."),
    **_each(
        "table Table.from_pandas Table.from_pydict Table.from_pylist", "arrow-table", "pyarrow."
    ),
    **_each("concat_tables array RecordBatch record_batch", "arrow-table", "pyarrow."),
    "pyarrow.parquet.read_table": "arrow-table",
    "pyarrow.csv.read_csv": "arrow-table",
    "pyarrow.feather.read_table": "arrow-table",
    # Standard library
    **_each("uuid1 uuid3 uuid4 uuid5 UUID", "uuid", "uuid."),
    "decimal.Decimal": "decimal",
    "fractions.Fraction": "object",
    **_each(
        "Path PurePath PosixPath WindowsPath PurePosixPath Path.cwd Path.home", "path", "pathlib."
    ),
    **_each(
        "utcnow now fromtimestamp utcfromtimestamp strptime today", "datetime", "datetime.datetime."
    ),
    "datetime.datetime.combine": "datetime",
    "datetime.date": "date",
    "datetime.date.today": "date",
    "datetime.date.fromisoformat": "date",
    "datetime.time": "time",
    "datetime.timedelta": "timedelta",
    "datetime.timezone": "timezone",
    "zoneinfo.ZoneInfo": "zone",
    "pendulum.timezone": "zone",
    **_each(
        "now today tomorrow yesterday datetime parse from_timestamp instance utcnow",
        "datetime",
        "pendulum.",
    ),
    "pendulum.duration": "timedelta",
    **_each("time monotonic perf_counter", "float", "time."),
    "time.strftime": "str",
    **_each("random uniform gauss", "float", "random."),
    **_each("randint randrange", "int", "random."),
    **_each("dumps dump", "bytes", "pickle."),
    "orjson.dumps": "bytes",
    **_each(
        "b64encode b64decode urlsafe_b64encode urlsafe_b64decode b32encode b16encode",
        "bytes",
        "base64.",
    ),
    **_each("compress decompress", "bytes", "gzip."),
    **_each("compress decompress", "bytes", "zlib."),
    **_each("urandom", "bytes", "os."),
    "secrets.token_bytes": "bytes",
    "secrets.token_hex": "str",
    **_each("getenv getcwd", "~str", "os."),
    "os.environ.get": "~str",
    "os.listdir": "list[str]",
    **_each("walk scandir", "iterator", "os."),
    **_each("join basename dirname abspath realpath expanduser", "str", "os.path."),
    **_each("exists isfile isdir", "bool", "os.path."),
    **_each("getsize", "int", "os.path."),
    "glob.glob": "list[str]",
    "glob.iglob": "iterator",
    **_each("OrderedDict defaultdict ChainMap", "dict", "collections."),
    "collections.Counter": "dict",
    "collections.deque": "deque",
    **_each(
        "chain product islice groupby count cycle repeat zip_longest", "iterator", "itertools."
    ),
    **_each(
        "permutations combinations chain.from_iterable accumulate starmap", "iterator", "itertools."
    ),
    **_each("match search fullmatch", "match", "re."),
    "re.compile": "pattern",
    "re.finditer": "iterator",
    "re.findall": "list[str]",
    "re.split": "list[str]",
    "re.sub": "str",
    "subprocess.Popen": "process",
    "subprocess.run": "completed",
    "csv.reader": "iterator",
    "csv.DictReader": "iterator",
    "io.StringIO": "file",
    "io.BytesIO": "binary-file",
    **_each("NamedTemporaryFile TemporaryFile", "file", "tempfile."),
    "tempfile.mkdtemp": "str",
    "tempfile.mkstemp": "tuple",
    "tempfile.TemporaryDirectory": "object",
    "logging.getLogger": "logger",
    **_each("Lock RLock Event Thread Condition Semaphore", "lock", "threading."),
    **_each("ip_address ip_network IPv4Address IPv6Address", "ip", "ipaddress."),
    **_each("md5 sha1 sha256 sha512 new blake2b", "hash", "hashlib."),
    "importlib.import_module": "module",
    "types.SimpleNamespace": "object",
    "contextlib.ExitStack": "object",
    "argparse.Namespace": "object",
    "sqlite3.connect": "connection",
    "socket.socket": "connection",
    "smtplib.SMTP": "connection",
    "ftplib.FTP": "connection",
    "zipfile.ZipFile": "file",
    "tarfile.open": "file",
    "gzip.open": "binary-file",
    "urllib.request.urlopen": "http-response",
    # HTTP
    **_each("get post put patch delete head request options", "http-response", "requests."),
    **_each("get post put patch delete head request options", "http-response", "httpx."),
    **_each("Session session", "http-client", "requests."),
    **_each("Client AsyncClient", "http-client", "httpx."),
    "aiohttp.ClientSession": "client",
    # Databases, clouds
    **{
        f"{name}.connect": "connection"
        for name in (
            *("psycopg2", "psycopg", "pymysql", "mysql.connector", "snowflake.connector"),
            *("duckdb", "oracledb", "pyodbc", "trino.dbapi", "MySQLdb", "clickhouse_driver"),
        )
    },
    **_each("create_engine engine.create_engine", "engine", "sqlalchemy."),
    "sqlalchemy.orm.Session": "session",
    **_each("client resource", "boto-client", "boto3."),
    "boto3.Session": "boto-session",
    "boto3.session.Session": "boto-session",
    **_each(
        "storage.Client bigquery.Client pubsub_v1.PublisherClient firestore.Client",
        "client",
        "google.cloud.",
    ),
    "pymongo.MongoClient": "client",
    **_each("Redis StrictRedis from_url", "client", "redis."),
    "elasticsearch.Elasticsearch": "client",
    "paramiko.SSHClient": "client",
    "minio.Minio": "client",
    "kubernetes.client.CoreV1Api": "client",
    "openai.OpenAI": "client",
    "PIL.Image.open": "image",
    **_each("tensor zeros ones rand randn from_numpy load", "tensor", "torch."),
    **_each("constant Variable zeros ones", "tensor", "tensorflow."),
    "joblib.load": "~model",
    **_each("SparkSession.builder.getOrCreate", "session", "pyspark.sql."),
    "networkx.DiGraph": "object",
    "networkx.Graph": "object",
    "bs4.BeautifulSoup": "object",
    "yaml.dump": "str",
    # Airflow
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
CALLS = {name: spec for name, spec in CALLS.items() if spec}

# Classes of these packages are live objects: `sklearn.linear_model.LinearRegression()`.
MODEL_PACKAGES = frozenset(
    {"sklearn", "xgboost", "lightgbm", "catboost", "torch", "tensorflow", "keras", "statsmodels"}
)

# Attributes of modules.
CONSTANTS: dict[str, str] = {
    **_each("nan inf NaN NAN Inf PINF NINF", "nan", "numpy."),
    **_each("nan inf", "nan", "math."),
    "numpy.pi": "float",
    "math.pi": "float",
    "pandas.NaT": "pd-nat",
    "pandas.NA": "pd-na",
    "os.environ": "environ",
    "sys.argv": "list[str]",
    "sys.path": "list[str]",
    "datetime.timezone.utc": "zone",
    "datetime.UTC": "zone",
    "string.ascii_letters": "str",
}

_SAME_FRAME = (
    "head tail copy dropna fillna merge join drop drop_duplicates rename reset_index set_index"
    " sort_values sort_index astype assign query replace pivot pivot_table melt sample transpose"
    " nlargest nsmallest filter apply applymap map where mask explode append diff pct_change"
    " round clip interpolate ffill bfill describe isna isnull notna notnull to_frame add_prefix"
    " add_suffix reindex select_dtypes convert_dtypes infer_objects stack unstack nunique"
)

# Methods, by the kind that they are called on.
METHODS: dict[str, dict[str, str]] = {
    "dataframe": {
        **_each(_SAME_FRAME, "~dataframe"),
        **_each("nunique", "~series"),
        **_each("sum mean median min max std var count any all idxmax idxmin mode", "~series"),
        **_each("groupby rolling resample expanding ewm", "groupby"),
        **_each("to_numpy to_records", "ndarray"),
        **_each("iterrows itertuples items iteritems", "iterator"),
        **_each("to_string to_html to_markdown to_latex", "str"),
        **_each("to_parquet to_feather to_pickle to_excel to_sql to_gbq info", "none"),
        **_each("pop squeeze", "~series"),
        "keys": "pd-index",
        "to_arrow": "arrow-table",
    },
    "series": {
        **_each(
            "head tail copy dropna fillna rename reset_index sort_values sort_index astype replace"
            " apply map where mask diff pct_change round clip isna isnull notna notnull isin"
            " value_counts cumsum shift rank between str.lower drop_duplicates nlargest nsmallest"
            " reindex unstack",
            "~series",
        ),
        **_each("sum min max prod", "?np-scalar"),
        **_each("mean median std var quantile", "?np-float64"),
        **_each("any all", "~np-bool"),
        "count": "np-int64",
        "nunique": "int",
        "item": "",
        **_each("to_numpy unique", "ndarray"),
        **_each("tolist to_list", "list"),
        **_each("items iteritems", "iterator"),
        "to_frame": "dataframe",
        "groupby": "groupby",
        "rolling": "groupby",
        "to_string": "str",
    },
    "groupby": {
        **_each(
            "agg aggregate sum mean median min max count size first last std var nunique apply"
            " transform head tail cumsum rank describe ohlc fillna ffill bfill",
            "~dataframe",
        ),
    },
    "pd-index": {**_each("tolist to_list", "list"), **_each("to_numpy unique", "ndarray")},
    "pd-timestamp": {
        **_each("isoformat strftime", "str"),
        "to_pydatetime": "datetime",
        "timestamp": "float",
        "date": "date",
    },
    "ndarray": {
        **_each(
            "reshape ravel flatten astype copy transpose squeeze cumsum argsort clip round dot"
            " repeat take swapaxes",
            "ndarray",
        ),
        **_each("sum max min prod", "?np-scalar"),
        **_each("mean std var", "?np-float64"),
        **_each("argmax argmin", "np-int64"),
        **_each("any all", "~np-bool"),
        "tolist": "list",
        "tobytes": "bytes",
        "item": "",
    },
    "np-generator": {
        **_each("normal uniform random integers standard_normal permutation choice", "~ndarray")
    },
    "pl-dataframe": {
        **_each(
            "head tail filter select with_columns sort join unique drop rename limit slice"
            " drop_nulls fill_null clone pivot melt describe",
            "pl-dataframe",
        ),
        "lazy": "pl-lazyframe",
        "to_dicts": "list[dict]",
        "to_pandas": "dataframe",
        "to_numpy": "ndarray",
        "to_arrow": "arrow-table",
        "to_series": "pl-series",
        "write_json": "~json-str",
        "write_parquet": "none",
        "write_csv": "~str",
        "rows": "list[tuple]",
        "to_dict": "dict",
    },
    "pl-lazyframe": {
        "collect": "pl-dataframe",
        **_each("filter select with_columns sort join limit", "pl-lazyframe"),
    },
    "pl-series": {"to_list": "list", "to_numpy": "ndarray"},
    "arrow-table": {
        "to_pandas": "dataframe",
        "to_pylist": "list[dict]",
        "to_pydict": "dict",
        "to_batches": "list",
    },
    "str": {
        "encode": "bytes",
        **_each("split rsplit splitlines", "list[str]"),
        **_each("partition rpartition", "tuple"),
        **_each(
            "strip lstrip rstrip lower upper title capitalize replace format join zfill rjust ljust"
            " center casefold removeprefix removesuffix swapcase",
            "str",
        ),
        **_each("startswith endswith isdigit isalpha isnumeric", "bool"),
        **_each("count find index rfind", "int"),
    },
    "json-str": {"encode": "bytes", **_each("strip replace lower upper", "~str")},
    "bytes": {
        "decode": "str",
        "hex": "str",
        **_each("strip split replace join", "bytes"),
    },
    "uuid": {},
    "datetime": {
        **_each("isoformat to_iso8601_string to_date_string to_datetime_string format", "str"),
        **_each("replace add subtract start_of end_of in_timezone in_tz", "datetime"),
        "date": "date",
        "time": "time",
        "timetz": "time",
        "timestamp": "float",
        **_each("weekday isoweekday toordinal diff_in_days", "int"),
        "timetuple": "object",
        "isocalendar": "namedtuple",
    },
    "date": {"isoformat": "str", "replace": "date", **_each("weekday isoweekday toordinal", "int")},
    "timedelta": {"total_seconds": "float"},
    "path": {
        **_each("exists is_file is_dir is_absolute", "bool"),
        **_each("resolve absolute with_suffix with_name joinpath expanduser relative_to", "path"),
        **_each("glob rglob iterdir", "iterator"),
        **_each("as_posix as_uri", "str"),
        **_each("mkdir unlink rmdir", "none"),
        "stat": "object",
        "read_text": "str",
        "read_bytes": "bytes",
    },
    "process": {"communicate": "tuple[bytes]", "poll": "int", "wait": "int"},
    "http-response": {"json": "", "iter_content": "iterator", "iter_lines": "iterator"},
    "http-client": {**_each("get post put patch delete request", "http-response")},
    "connection": {
        **_each("cursor", "cursor"),
        "execute": "cursor",
        **_each("commit rollback close", "none"),
    },
    "cursor": {
        **_each("fetchall fetchmany", "~list[tuple]"),
        "fetchone": "~tuple",
        "execute": "~cursor",
        **_each("df fetchdf fetch_df", "dataframe"),
        "arrow": "arrow-table",
    },
    # A database's connection, by a hook's get_conn(): nothing else has cursors.
    "client": {"cursor": "cursor"},
    "engine": {"connect": "connection", "raw_connection": "connection", "begin": "connection"},
    "boto-session": {**_each("client resource", "boto-client")},
    "boto-client": {"get_paginator": "client", "get_waiter": "client", "close": "none"},
    "streaming-body": {"read": "bytes", "iter_lines": "iterator", "iter_chunks": "iterator"},
    "hash": {"hexdigest": "str", "digest": "bytes"},
    "match": {"group": "str", "groups": "tuple", "groupdict": "dict"},
    "pattern": {
        **_each("match search fullmatch", "match"),
        "findall": "list[str]",
        "finditer": "iterator",
    },
    "model": {
        **_each("predict predict_proba transform fit_transform decision_function", "~ndarray"),
        "fit": "model",
        "score": "float",
        "get_params": "dict",
    },
    "tensor": {
        "numpy": "ndarray",
        "tolist": "list",
        "item": "float",
        **_each("cpu detach reshape view to", "tensor"),
    },
    "airflow-connection": {"get_uri": "str"},
    "hook": {
        "get_records": "~list[tuple]",
        "get_first": "~tuple",
        **_each("get_pandas_df get_df", "dataframe"),
        "get_pandas_df_by_chunks": "generator",
        "get_df_by_chunks": "generator",
        **_each("get_sqlalchemy_engine", "engine"),
        **_each("get_conn", "client"),
        "get_cursor": "cursor",
        "get_connection": "airflow-connection",
        **_each("get_session", "session"),
        "read_key": "str",
        **_each("list_keys list_prefixes", "list[str]"),
        **_each("check_for_key check_for_bucket", "bool"),
        "get_key": "client",
        "get_bucket": "client",
        "download_file": "str",
    },
}

# Methods that give the same whatever has them.
METHODS_OF_ANY: dict[str, str] = {"to_numpy": "ndarray", "toPandas": "dataframe"}

# Arguments of connections and cursors that make rows something else than tuples.
ROW_ARGUMENTS = frozenset(
    {
        *("cursor_factory", "row_factory", "cursor_class", "cursorclass"),
        *("dictionary", "as_dict", "named_tuple"),
    }
)

# Attributes, by the kind that they belong to.
ATTRIBUTES: dict[str, dict[str, str]] = {
    "dataframe": {
        "shape": "tuple[int]",
        "columns": "pd-index",
        "index": "pd-index",
        "values": "ndarray",
        "dtypes": "series",
        "T": "dataframe",
        "empty": "bool",
        "size": "int",
        **_each("loc iloc", "frame-indexer"),
        **_each("at iat", "scalar-indexer"),
    },
    "series": {
        "values": "ndarray",
        "index": "pd-index",
        "shape": "tuple[int]",
        "size": "int",
        "empty": "bool",
        "str": "series-accessor",
        "dt": "series-accessor",
        **_each("loc iloc at iat", "scalar-indexer"),
    },
    "ndarray": {"shape": "tuple[int]", "size": "int", "ndim": "int", "T": "ndarray"},
    "pl-dataframe": {"shape": "tuple[int]", "columns": "list[str]", "height": "int"},
    "path": {**_each("name stem suffix", "str"), "parent": "path", "parts": "tuple[str]"},
    "uuid": {"hex": "str", "int": "int", "bytes": "bytes"},
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
    "completed": {"returncode": "int", "stdout": "~bytes", "stderr": "~bytes"},
    "airflow-connection": {
        **_each("host login password schema conn_id conn_type", "str"),
        "port": "int",
        "extra": "?json-str",
        "extra_dejson": "dict",
    },
    "datetime": {**_each("year month day hour minute second", "int"), "tzinfo": "zone"},
    "pd-timestamp": {**_each("year month day hour minute second", "int")},
    "model": {"coef_": "ndarray", "feature_importances_": "ndarray", "classes_": "ndarray"},
    "ti": {
        **_each("dag_id task_id run_id", "str"),
        **_each("try_number map_index", "int"),
        "task": "airflow-object",
        "dag_run": "dag-run",
    },
    "dag-run": {"conf": "", "run_id": "str", **_each("logical_date start_date", "datetime")},
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
    **_each("ds ts ts_nodash ts_nodash_with_tz run_id", "str"),
    "task_instance_key_str": "str",
    **_each("logical_date execution_date data_interval_start data_interval_end", "datetime"),
    "params": "",
}

# Annotations: what they are taken for.
ANNOTATIONS: dict[str, str] = {
    "numpy.ndarray": "ndarray",
    "numpy.typing.NDArray": "ndarray",
    "numpy.typing.ArrayLike": "ndarray",
    "numpy.float64": "np-float64",
    "numpy.float32": "np-float32",
    "pandas.DataFrame": "dataframe",
    "pandas.Series": "series",
    "pandas.Timestamp": "pd-timestamp",
    "pandas.Index": "pd-index",
    "polars.DataFrame": "pl-dataframe",
    "polars.LazyFrame": "pl-lazyframe",
    "pyarrow.Table": "arrow-table",
    "pyspark.sql.DataFrame": "spark-frame",
    "uuid.UUID": "uuid",
    "decimal.Decimal": "decimal",
    "pathlib.Path": "path",
    "datetime.datetime": "datetime",
    "datetime.date": "date",
    "datetime.time": "time",
    "datetime.timedelta": "timedelta",
    "typing.Generator": "generator",
    "typing.Iterator": "iterator",
    "collections.abc.Generator": "generator",
    "collections.abc.Iterator": "iterator",
    "requests.Response": "http-response",
    "requests.Session": "http-client",
}
ANNOTATION_BUILTINS = frozenset(
    {"bytes", "bytearray", "str", "int", "float", "bool", "complex", "range"}
)
