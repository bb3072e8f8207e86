from __future__ import annotations

from typing import Dict, Optional

import numpy as np
import pandas as pd
from airflow.decorators import task
from elsewhere import compute, load


@task
def returns() -> pd.DataFrame:
    return load()  # XCA003 medium


@task
def parameter(df: pd.DataFrame):
    return df.head()  # XCA003 low


@task
def optional() -> Optional[np.ndarray]:
    return compute()  # XCA001 medium


@task
def in_a_list() -> list[np.ndarray]:
    return compute()  # XCA001 medium


@task
def seen_is_stronger() -> pd.DataFrame:
    return [1, 2]


@task
def said(df: pd.DataFrame):
    return len(df)


@task
def inferred_multiple_outputs() -> Dict[str, int]:
    return {1: "a"}  # XCA023 high


@task
def local_variable():
    df: pd.DataFrame = load()
    return df  # XCA003 medium


@task
def not_annotated():
    return load()
