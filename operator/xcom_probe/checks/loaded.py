"""What the checks of the configuration look at: this process, as Airflow configured it."""

from __future__ import annotations

from typing import Any, Mapping, NamedTuple

from xcom_probe import options
from xcom_probe.airflow import backend
from xcom_probe.checks import Skip
from xcom_probe.options import ConfigFile, Misspelt, Option


class Expectation(NamedTuple):
    """What the pod should have; None where nothing is expected."""

    backend: str | None = None
    path: str | None = None
    threshold: int | None = None
    compression: str | None = None


class Loaded:
    """This process: the XCom class that Airflow loaded, and the effective options.

    Attributes:
        xcom: the class, None if the import failed.
        problem: why the import failed, empty if it did not.
        environ: the environment variables.
        conf: Airflow's configuration object.
        options: effective value and source by (section, option).
    """

    def __init__(self, environ: Mapping[str, str], expected: Expectation) -> None:
        """Import Airflow and its XCom class.

        Raises:
            ImportFailed: Airflow itself cannot be imported.
        """
        self.expected = expected
        self.environ = environ
        self.xcom: Any = None
        self.problem = ""
        try:
            self.xcom = backend.load_xcom()
        except backend.ImportFailed as problem:
            self.problem = str(problem)
        self.conf = backend.configuration()
        self.file: ConfigFile = options.read_config(environ)
        self.misspelt_env: list[Misspelt] = options.misspelt_env(environ, self.file)
        self.misspelt_file: list[Misspelt] = options.misspelt_file(self.file)
        self.options: dict[tuple[str, str], Option] = {
            option: options.source(
                option[0], option[1], backend.effective(self.conf, option), environ, self.file
            )
            for option in options.OPTIONS
        }

    def facts(self) -> dict[str, Any]:
        """Facts of the result document that need Airflow."""
        return {
            "executor": str(self.conf.get("core", "executor", fallback="")),
            "celeryPool": str(self.conf.get("celery", "pool", fallback="") or ""),
            "taskNamespaces": {
                "namespace": self._of_pods("namespace"),
                "multiNamespaceMode": self._of_pods("multi_namespace_mode"),
                "multiNamespaceModeNamespaceList": self._of_pods(
                    "multi_namespace_mode_namespace_list"
                ),
            },
            "backendClass": backend.qualified_name(self.xcom) if self.xcom else None,
            "taskContext": backend.task_context(),
            "xcomBackend": self.options[options.BACKEND]._asdict(),
            "objectStorage": {
                "path": self.options[options.PATH]._asdict(),
                "threshold": self.options[options.THRESHOLD]._asdict(),
                "compression": self.options[options.COMPRESSION]._asdict(),
            },
        }

    def _of_pods(self, option: str) -> str:
        """An option of KubernetesExecutor, whatever source and section it comes from."""
        return str(self.conf.get("kubernetes_executor", option, fallback="") or "")

    def path(self) -> str:
        """The effective base path, empty if there is none."""
        return self.options[options.PATH].value or ""

    def threshold(self) -> int | None:
        """The threshold as the backend reads it, None if Airflow cannot read it."""
        section, name = options.THRESHOLD
        try:
            return int(self.conf.getint(section, name, fallback=-1))
        except Exception as problem:
            if type(problem).__name__ == "AirflowConfigException":
                return None
            raise

    def written(self, option: tuple[str, str]) -> str | None:
        """The value as written, before `~` and `$NAME` were expanded; None if it is not set."""
        in_file = self.file.sections.get(option[0], {}).get(option[1])
        return self.environ.get(options.env_name(*option), in_file)

    def skip_if_meant(self, option: tuple[str, str]) -> None:
        """Raise Skip if a misspelt setting meant this option: that check says it better."""
        for check, found in (
            ("env-misspelt", self.misspelt_env),
            ("file-misspelt", self.misspelt_file),
        ):
            for misspelt in found:
                if misspelt.intended == option and misspelt.certain:
                    raise Skip(f"{check} found {misspelt.where}, which is ignored")
