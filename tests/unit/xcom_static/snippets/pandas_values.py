import pandas as pd
from airflow.decorators import task


@task
def frame():
    df = pd.read_csv("a.csv")
    df = df.dropna()
    return df  # XCA003 medium


@task
def made_here():
    return pd.DataFrame({"a": [1]})  # XCA003 high


@task
def column():
    df = pd.DataFrame({"a": [1]})
    return df["a"]  # XCA004 high


@task
def filtered():
    df = pd.DataFrame({"a": [1]})
    return df[df["a"] > 1]  # XCA003 medium


@task
def timestamp():
    return pd.Timestamp("2024-01-01")  # XCA004 high


@task
def nothing():
    return [pd.NaT]  # XCA004 high


@task
def several_frames():
    return {name: pd.read_parquet(name) for name in ("a", "b")}  # XCA003 high


@task
def chunks():
    return pd.read_csv("a.csv", chunksize=10)  # XCA016 high


@task
def index_keys():
    df = pd.DataFrame({"a": [1]})
    return df.to_dict()  # XCA009 medium, XCA022 medium


@task
def records():
    df = pd.DataFrame({"a": [1]})
    return df.to_dict("records")  # XCA022 medium


@task
def as_json_text():
    df = pd.DataFrame({"a": [1]})
    return df.to_json()  # XCA014 high, XCA022 medium


@task
def written_to_a_file():
    df = pd.DataFrame({"a": [1]})
    return df.to_json("/data/out.json")


@task
def columns():
    df = pd.DataFrame({"a": [1]})
    return list(df.columns)


@task
def column_as_list():
    df = pd.DataFrame({"a": [1]})
    return df["a"].tolist()


@task
def rows():
    df = pd.read_csv("a.csv")
    return {"rows": len(df), "empty": df.empty}


@task
def is_there_any():
    df = pd.read_csv("a.csv")
    return df["a"].isna().any()  # XCA002 medium


@task
def by_path():
    df = pd.read_csv("a.csv")
    path = "/data/a.parquet"
    df.to_parquet(path)
    return path
