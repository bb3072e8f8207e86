"""The parts of the probe for commands that are sent to pods often, or to pods of tasks.

Such a command imports nothing of Airflow, and is sent some 40 KB of 630.
"""

import io
import zipfile
from functools import lru_cache
from typing import Final

_COMMON: Final = (
    "__main__.py",
    "xcom_probe/__init__.py",
    "xcom_probe/ending.py",
    "xcom_probe/main.py",
    "xcom_probe/model.py",
    "xcom_probe/runtime.py",
    "xcom_probe/redact.py",
    "xcom_probe/report.py",
    "xcom_probe/commands/__init__.py",
)
_NEEDED: Final = {
    "attempts": ("xcom_probe/commands/attempts.py", "xcom_probe/processes/"),
    "configured": (
        "xcom_probe/commands/configured.py",
        "xcom_probe/mounted.py",
        "xcom_probe/options.py",
        "xcom_probe/started.py",
    ),
}


@lru_cache(maxsize=4)
def needed_part(probe: bytes, command: str) -> bytes:
    """Return the part of the zipapp that `command` needs, as a zipapp.

    Raises:
        KeyError: no part is known for the command.
    """
    needed = (*_COMMON, *_NEEDED[command])
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(probe)) as whole, zipfile.ZipFile(out, "w") as part:
        for entry in whole.infolist():
            if entry.filename.startswith(needed):
                part.writestr(entry, whole.read(entry))
    return out.getvalue()
