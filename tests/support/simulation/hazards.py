"""What must never take place, counted."""

from dataclasses import dataclass, field, fields


@dataclass
class Hazards:
    """Each list says what happened; all of them stay empty in a world that is served well."""

    path_reads: list[str] = field(default_factory=list)
    """A process was handed an offloaded row as data."""
    exposed: list[str] = field(default_factory=list)
    """A run in flight holds an offloaded row while the operator delivers the database backend."""
    spoilt_rows: list[str] = field(default_factory=list)
    """An attempt wrote over the row of a later one."""
    old_attempts: list[str] = field(default_factory=list)
    """An attempt in a worker lived when the operator cleared its run, or wrote or ended a row of
    the re-run."""
    lost_runs: list[str] = field(default_factory=list)
    """A run that the operator ended was not cleared, or cleared into nowhere."""
    cleared_twice: list[str] = field(default_factory=list)
    """In one round of one kill."""
    stopped_without_need: list[str] = field(default_factory=list)
    """It held no offloaded value and was not overdue, or could not be cleared."""
    blind_deeds: list[str] = field(default_factory=list)
    """Something was done to a run, or said of it, that could not be read at that moment."""
    paused_left: list[str] = field(default_factory=list)
    """A DAG that the operator paused and did not unpause."""
    unpaused_of_person: list[str] = field(default_factory=list)
    """A DAG that a person paused and the operator unpaused."""
    failed_parents: list[str] = field(default_factory=list)
    """A run that waited for another and failed when it saw that one stopped."""
    blind_offloads: list[str] = field(default_factory=list)
    """Offloading began while some process could not read offloaded values."""
    unaudited: list[str] = field(default_factory=list)
    unconfirmed: list[str] = field(default_factory=list)
    endless: list[str] = field(default_factory=list)
    """The kill waits forever and does not report for what."""

    def found(self) -> dict[str, list[str]]:
        """Return the lists that are not empty."""
        lists = {entry.name: getattr(self, entry.name) for entry in fields(self)}
        return {name: entries for name, entries in lists.items() if entries}
