"""A model of Airflow, Helm and Kubernetes with the hazards that were measured, for pure tests.

Time goes in whole seconds and jumps from event to event. A `Simulation` is kind by default: a
delivery takes no time, nothing is refused. A `Weather` adds delays and faults, `People` do what
persons do in the middle, and a `Plan` is a whole world as plain data. What must never take place is
counted in `Hazards`.
"""

from simulation.airflow import SimRun, SimTask
from simulation.clock import START
from simulation.hazards import Hazards
from simulation.operator import BUILD, Simulation, spec
from simulation.plan import Plan, RunPlan, play
from simulation.weather import Weather

__all__ = [
    "BUILD",
    "START",
    "Hazards",
    "Plan",
    "RunPlan",
    "SimRun",
    "SimTask",
    "Simulation",
    "Weather",
    "play",
    "spec",
]
