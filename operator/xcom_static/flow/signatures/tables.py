"""pandas, polars, pyarrow, Spark."""

from __future__ import annotations

from xcom_static.flow.signatures.notation import each

CALLS: dict[str, str] = {
    **each(
        "DataFrame read_excel read_parquet read_feather read_orc read_pickle read_sql"
        " read_sql_query read_sql_table read_fwf read_table read_gbq read_hdf read_xml"
        " merge pivot_table pivot melt json_normalize get_dummies crosstab",
        "dataframe",
        "pandas.",
    ),
    "pandas.concat": "~dataframe",
    "pandas.Series": "series",
    **each("Index date_range bdate_range period_range MultiIndex", "pd-index", "pandas."),
    "pandas.Timestamp": "pd-timestamp",
    "pandas.Timedelta": "pd-timedelta",
    "pandas.to_datetime": "~pd-timestamp",
    "pandas.to_numeric": "~series",
    "pandas.cut": "~series",
    "pandas.qcut": "~series",
    **each(
        "DataFrame read_csv read_parquet read_json read_ndjson read_excel read_database read_ipc"
        " from_dict from_dicts from_pandas from_arrow from_records concat",
        "pl-dataframe",
        "polars.",
    ),
    "polars.Series": "pl-series",
    **each("LazyFrame scan_csv scan_parquet scan_ndjson scan_ipc", "pl-lazyframe", "polars."),
    **each(
        "table Table.from_pandas Table.from_pydict Table.from_pylist", "arrow-table", "pyarrow."
    ),
    **each("concat_tables array RecordBatch record_batch", "arrow-table", "pyarrow."),
    "pyarrow.parquet.read_table": "arrow-table",
    "pyarrow.csv.read_csv": "arrow-table",
    "pyarrow.feather.read_table": "arrow-table",
    **each("SparkSession.builder.getOrCreate", "session", "pyspark.sql."),
}

CONSTANTS: dict[str, str] = {
    "pandas.NaT": "pd-nat",
    "pandas.NA": "pd-na",
}

_SAME_FRAME = (
    "head tail copy dropna fillna merge join drop drop_duplicates rename reset_index set_index"
    " sort_values sort_index astype assign query replace pivot pivot_table melt sample transpose"
    " nlargest nsmallest filter apply applymap map where mask explode append diff pct_change"
    " round clip interpolate ffill bfill describe isna isnull notna notnull to_frame add_prefix"
    " add_suffix reindex select_dtypes convert_dtypes infer_objects stack unstack nunique"
)

METHODS: dict[str, dict[str, str]] = {
    "dataframe": {
        **each(_SAME_FRAME, "~dataframe"),
        **each("nunique", "~series"),
        **each("sum mean median min max std var count any all idxmax idxmin mode", "~series"),
        **each("groupby rolling resample expanding ewm", "groupby"),
        **each("to_numpy to_records", "ndarray"),
        **each("iterrows itertuples items iteritems", "iterator"),
        **each("to_string to_html to_markdown to_latex", "str"),
        **each("to_parquet to_feather to_pickle to_excel to_sql to_gbq info", "none"),
        **each("pop squeeze", "~series"),
        "keys": "pd-index",
        "to_arrow": "arrow-table",
    },
    "series": {
        **each(
            "head tail copy dropna fillna rename reset_index sort_values sort_index astype replace"
            " apply map where mask diff pct_change round clip isna isnull notna notnull isin"
            " value_counts cumsum shift rank between str.lower drop_duplicates nlargest nsmallest"
            " reindex unstack",
            "~series",
        ),
        **each("sum min max prod", "?np-scalar"),
        **each("mean median std var quantile", "?np-float64"),
        **each("any all", "~np-bool"),
        "count": "np-int64",
        "nunique": "int",
        "item": "",
        **each("to_numpy unique", "ndarray"),
        **each("tolist to_list", "list"),
        **each("items iteritems", "iterator"),
        "to_frame": "dataframe",
        "groupby": "groupby",
        "rolling": "groupby",
        "to_string": "str",
    },
    "groupby": {
        **each(
            "agg aggregate sum mean median min max count size first last std var nunique apply"
            " transform head tail cumsum rank describe ohlc fillna ffill bfill",
            "~dataframe",
        ),
    },
    "pd-index": {**each("tolist to_list", "list"), **each("to_numpy unique", "ndarray")},
    "pd-timestamp": {
        **each("isoformat strftime", "str"),
        "to_pydatetime": "datetime",
        "timestamp": "float",
        "date": "date",
    },
    "pl-dataframe": {
        **each(
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
        **each("filter select with_columns sort join limit", "pl-lazyframe"),
    },
    "pl-series": {"to_list": "list", "to_numpy": "ndarray"},
    "arrow-table": {
        "to_pandas": "dataframe",
        "to_pylist": "list[dict]",
        "to_pydict": "dict",
        "to_batches": "list",
    },
}

# Methods that give the same whatever has them.
METHODS_OF_ANY: dict[str, str] = {"to_numpy": "ndarray", "toPandas": "dataframe"}

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
        **each("loc iloc", "frame-indexer"),
        **each("at iat", "scalar-indexer"),
    },
    "series": {
        "values": "ndarray",
        "index": "pd-index",
        "shape": "tuple[int]",
        "size": "int",
        "empty": "bool",
        "str": "series-accessor",
        "dt": "series-accessor",
        **each("loc iloc at iat", "scalar-indexer"),
    },
    "pl-dataframe": {"shape": "tuple[int]", "columns": "list[str]", "height": "int"},
    "pd-timestamp": {**each("year month day hour minute second", "int")},
}

ANNOTATIONS: dict[str, str] = {
    "pandas.DataFrame": "dataframe",
    "pandas.Series": "series",
    "pandas.Timestamp": "pd-timestamp",
    "pandas.Index": "pd-index",
    "polars.DataFrame": "pl-dataframe",
    "polars.LazyFrame": "pl-lazyframe",
    "pyarrow.Table": "arrow-table",
    "pyspark.sql.DataFrame": "spark-frame",
}
