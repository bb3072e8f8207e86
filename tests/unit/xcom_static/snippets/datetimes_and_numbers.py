import math
from datetime import datetime, time, timedelta, timezone
from decimal import Decimal
from zoneinfo import ZoneInfo

import pendulum
from airflow.decorators import task


@task
def fixed():
    return datetime.now(timezone(timedelta(hours=2)))  # XCA013 high


@task
def from_text():
    return datetime.fromisoformat("2024-01-01T12:00:00+02:00")  # XCA013 high


@task
def constructed():
    zone = timezone(timedelta(hours=2))
    return datetime(2024, 1, 1, tzinfo=zone)  # XCA013 high


@task
def utc():
    return datetime.now(timezone.utc)


@task
def named_zone():
    return {"at": datetime.now(tz=ZoneInfo("Europe/Berlin"))}


@task
def moment():
    return pendulum.now("UTC")


@task
def of_day():
    return time(12, 30)  # XCA020 high


@task
def length():
    return timedelta(hours=1)


@task
def price():
    return Decimal("1.5")


@task
def text():
    return datetime.now().isoformat()
