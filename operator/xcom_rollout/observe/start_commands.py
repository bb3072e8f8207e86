"""Start commands that set options of the backend and so override what the operator delivers.

What a container's command exports is seen neither by a proof, whose pod runs the probe instead, nor
by inspecting the pod's configuration.
"""

import re
from collections.abc import Iterable, Iterator
from pathlib import PurePosixPath
from typing import Final

from xcom_rollout.release.airflow_cfg import OWNED_VARIABLES
from xcom_rollout.release.objects import PodTemplate

# Not where its value is only used: $NAME, ${NAME}, $(NAME).
_OWNED: Final = re.compile(rf"(?<![\w$])(?<!\$[{{(])({'|'.join(sorted(OWNED_VARIABLES))})(?!\w)")
_CONFIG: Final = re.compile(r"(?<![\w$])AIRFLOW_CONFIG=[\"']?([^\s\"';&|]*)")
# Airflow reads the file there where AIRFLOW_CONFIG does not name another.
_HOME: Final = re.compile(r"(?<![\w$])AIRFLOW_HOME=[\"']?([^\s\"';&|]*)")
# As in a shell: only at the start of a word.
_COMMENT: Final = re.compile(r"(?:(?<=[\s;&|()])|^)#.*", re.MULTILINE)


def options_set_at_start(templates: Iterable[PodTemplate]) -> tuple[str, ...]:
    """Return the problems of the start commands of these templates, a sentence for each place.

    A file that a command sources, and the image's entrypoint, cannot be seen here: inspecting the
    running pods finds what they export.

    Raises:
        ActionFailed: the main container of a template is not known.
    """
    return tuple(dict.fromkeys(one for template in templates for one in _of(template)))


def _of(template: PodTemplate) -> Iterator[str]:
    container = template.main
    mounted = [PurePosixPath(str(m.get("mountPath"))) for m in container.get("volumeMounts") or []]
    for field in ("command", "args", "lifecycle"):
        for written in _texts(container.get(field)):
            text = _COMMENT.sub("", written)
            where = f"{field} of the container {container['name']} of the {template.component} pod"
            for name in dict.fromkeys(_OWNED.findall(text)):
                yield (
                    f"{where} names {name}: the value set there overrides airflow.cfg in this "
                    "process, and the operator delivers that option. Remove it from the start "
                    "command"
                )
            files = [("AIRFLOW_CONFIG", path, path) for path in _CONFIG.findall(text)]
            if not files:
                files = [("AIRFLOW_HOME", p, f"{p}/airflow.cfg") for p in _HOME.findall(text)]
            for variable, value, path in files:
                # What a variable in it stands for is not known here.
                if "$" not in path and not any(
                    PurePosixPath(path).is_relative_to(m) for m in mounted
                ):
                    yield (
                        f"{where} sets {variable}={value}: the process reads {path}, not the file "
                        "that the chart mounts and the operator changes. Remove it from the start "
                        "command"
                    )


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item)
    elif isinstance(value, dict):
        for item in value.values():
            yield from _texts(item)
