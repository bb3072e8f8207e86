"""The ledger as last seen in its ConfigMap: what is unchanged is not read again.

A kill waits for hours, and reading the ledger of ten thousand runs takes most of a second.
"""

from dataclasses import dataclass, replace

from xcom_rollout.clients.kube import Json
from xcom_rollout.clients.memo import Memo
from xcom_rollout.decide.ledger import Ledger
from xcom_rollout.stored.ledger_codec import from_config_map


@dataclass
class LedgerMemory:
    """The content of one ConfigMap, and its ledger; one version only, because it is large.

    Attributes:
        listed_for: UID of the rollout for which this process has published the lists of runs that
            are in this ledger; empty where it has not.
    """

    listed_for: str = ""
    _last: tuple[Json, Ledger] | None = None
    _version: str = ""

    @property
    def ledger(self) -> Ledger | None:
        """The ledger that was read or written last."""
        return None if self._last is None else self._last[1]

    @classmethod
    def of(cls, memo: Memo, namespace: str, name: str) -> "LedgerMemory":
        """Return the memory of a ConfigMap; an empty one where it was dropped."""
        return memo.get(("ledger", namespace, name), cls)

    def at(self, resource_version: str) -> Ledger | None:
        """Return the ledger of this version, None where this version was not read."""
        return self.ledger if resource_version and resource_version == self._version else None

    def read(self, config_map: Json) -> Ledger:
        """Return the ledger in a ConfigMap.

        Raises:
            Malformed: the ConfigMap holds no ledger that can be read.
        """
        last, content = self._last, _content(config_map)
        version = str(config_map["metadata"]["resourceVersion"])
        if last is not None and last[0] == content:
            ledger = replace(last[1], resource_version=version)
            self._last = (last[0], ledger)
        else:
            ledger = from_config_map(config_map)
            self._last, self.listed_for = (content, ledger), ""
        self._version = version
        return ledger

    def wrote(self, config_map: Json, ledger: Ledger, listed_for: str, answer: Json | None) -> None:
        """Keep what was written, because it is what will be read.

        Args:
            answer: the ConfigMap as stored now; None where that is not known yet.
        """
        content = _content(config_map)
        self._version = ""
        # An admission webhook may have stored something else.
        if answer is not None and _content(answer) == content:
            self._version = str(answer["metadata"]["resourceVersion"])
            ledger = replace(ledger, resource_version=self._version)
        self._last, self.listed_for = (content, ledger), listed_for

    @property
    def written(self) -> Ledger | None:
        """The ledger that was read or written last, with its version; None where that is not known.

        A write that is based on it is refused where somebody else has written.
        """
        return self.ledger if self._version else None


def _content(config_map: Json) -> Json:
    # The API server leaves an empty member out.
    return {key: config_map.get(key) or {} for key in ("data", "binaryData")}
