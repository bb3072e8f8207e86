import base64
import gzip
import pickle
import subprocess
from pathlib import Path

from airflow.decorators import task


@task
def encoded():
    return "text".encode()  # XCA007 high


@task
def literal():
    return {"body": b"x"}  # XCA007 high


@task
def base64_is_bytes():
    return base64.b64encode(b"x")  # XCA007 high


@task
def base64_text():
    return base64.b64encode(b"x").decode()


@task
def pickled(thing):
    return pickle.dumps(thing)  # XCA007 high


@task
def binary_file():
    with open("a", "rb") as file:
        return file.read()  # XCA007 high, XCA022 medium


@task
def text_file():
    with open("a") as file:
        return file.read()  # XCA022 medium


@task
def whole_path():
    return Path("a").read_text()  # XCA022 medium


@task
def output():
    return subprocess.check_output(["ls"])  # XCA007 high


@task
def text_output():
    return subprocess.check_output(["ls"], text=True)


@task
def the_file_itself():
    return open("a")  # XCA017 high


@task
def compressed():
    return gzip.compress(b"x")  # XCA007 high


@task
def the_path():
    return Path("/data") / "a.csv"  # XCA020 high


@task
def path_text():
    return str(Path("/data") / "a.csv")


@task
def names():
    return [entry.name for entry in Path("/data").iterdir()]


@task
def found():
    return Path("/data").glob("*.csv")  # XCA016 high
