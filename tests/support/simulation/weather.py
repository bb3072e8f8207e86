"""How kind the world is: delays and faults, all of them absent by default."""

from dataclasses import dataclass
from random import Random
from typing import Final

STALE_FOR: Final = 20
"""Seconds for which a kubelet may not know of a change."""


@dataclass(frozen=True)
class Weather:
    """Delays in seconds. A pair is drawn from; (0, 0) is a world without that delay."""

    seed: int = 0
    queue: tuple[int, int] = (0, 0)
    """From queued to the pod's creation."""
    init: tuple[int, int] = (0, 0)
    """From the pod's creation to its start, when it mounts the configuration."""
    loop: tuple[int, int] = (0, 0)
    """From one task to the next."""
    subpath: bool = True
    """Whether a pod in its init container ends when the configuration changes (subPath mounts)."""
    stale_mounts: int = 0
    """Per cent of the pods that mount what was there `STALE_FOR` seconds before."""
    in_place: bool = False
    """Whether the kubelet changes the file beneath their processes later."""
    helm: tuple[int, int] = (0, 0)
    """A delivery, from begin to end. The configuration changes in the first half of it."""
    helm_dies: tuple[int, ...] = ()
    """Which of the operator's deliveries (1 is the first) die half-way."""
    helm_dies_late: bool = True
    """Whether the configuration has changed when Helm dies."""
    helm_fails: tuple[int, ...] = ()
    """Which of them fail, with the configuration changed."""
    roll: int = 4
    """From the change of the workloads to the first new pod."""
    web_starts: int = 0
    """How long a new web server does not answer, and no other one does."""
    fleet_grace: int = 0
    """How long an old long-lived pod goes on beside the new one."""
    job: tuple[int, int] = (3, 3)
    jobs_lost: tuple[int, ...] = ()
    """Which Jobs of a kill (1 is the first) end without a result."""
    jobs_lost_late: bool = False
    """Whether they have done their work before."""
    standby: bool = False
    """Whether a pod comes that waits to be asked: what it is asked is answered at once. Else the
    cluster refuses its Job."""
    heartbeat: int = 0
    """How soon a process notices that its run was failed, and ends; 0: never."""
    grace: int = 2
    """From the deletion of a task pod to its end."""
    deaf_grace: int = 30
    """The same for a process that ignores SIGTERM, which works on meanwhile."""
    rest_faults: int = 0
    """Per cent of the requests to Airflow that time out: not done, done, or done later."""
    latency: int = 0
    """From what the operator sees to what it does, up to."""
    slow: int = 1
    """How many times as long as it asks for the operator waits."""
    skew: int = 0
    """Seconds by which the operator's clock is ahead."""
    unseen: bool = False
    """Whether task pods are not shown, and nobody reports it."""
    tasks_in: str = ""
    """The namespace of the task pods; empty stands for the one of the rollout."""
    copied_after: int = 0
    """Seconds until somebody has brought a change of the configuration to the namespace of the
    task pods, which mount the copy there; 0: they mount the release's own."""
    workers: int = 0
    """How many workers run the tasks; 0: each task has a pod of its own."""
    slots: int = 4
    """Tasks that a worker runs beside each other."""
    stateful: bool = False
    """Whether they are a StatefulSet: each is gone before its successor comes."""
    worker_grace: int = 600
    """How long a worker that is told to end may wait for its tasks."""
    worker_starts: int = 0
    """How long a new one takes no messages, and cannot be looked into."""
    notices: tuple[int, int] = (5, 10)
    """How soon a supervisor notices that its run was failed."""
    heartbeats: int = 40
    """How long those of a task may be missing until its row is failed."""
    again: int = 0
    """How long a message belongs to the worker that took it before it is sent again; 0: forever."""
    doubled: int = 0
    """Per cent of the messages that come twice."""
    orphaned: int = 0
    """Per cent of the attempts that lose their supervisor."""
    unnamed: int = 0
    """Per cent of the attempts whose title does not name their run."""
    look_pace: int = 0
    """How old a look into the workers may be that serves another pass."""
    look_faults: int = 0
    """Per cent of the looks into a worker that fail."""
    end_faults: int = 0
    """The same of the deeds in one, some of which are done nevertheless."""


class Dice:
    """The chance of one world: the same seed gives the same world."""

    def __init__(self, seed: int) -> None:
        self._random = Random(seed)  # noqa: S311  # no secret, a simulation

    def between(self, bounds: tuple[int, int]) -> int:
        low, high = bounds
        if high <= low:
            return low
        return low + int(self._random.random() * (high - low + 1))

    def chance(self, per_cent: int) -> bool:
        return per_cent > 0 and self._random.random() * 100 < per_cent
