"""The build: DAGs and images are delivered separately, and all have to be of one commit.

A look is valid for the pods that it was made in, for the question that was asked, and for a
limited time: git-sync changes a DAG folder without any change of a pod. Unknown is not fresh.
"""

from typing import Final

from xcom_rollout.api.durations import format_duration, parse_duration
from xcom_rollout.api.v1alpha1 import ProvenanceGate
from xcom_rollout.decide.actions import InspectBuilds
from xcom_rollout.decide.decision import Finding
from xcom_rollout.decide.ledger import BuildQuestion, BuildSeen, BuildSource, Freshness
from xcom_rollout.decide.situation import Situation
from xcom_rollout.decide.table import act, done, hold

_CATCH_UP: Final = {
    BuildSource.STAMP: "let git-sync pull the DAGs of that commit",
    BuildSource.IMAGE: "deploy the image of that commit",
    BuildSource.TAGS: "let Airflow parse the DAGs of that commit",
}
_SHOW: Final = {
    BuildSource.STAMP: "have the DAGs stamped where they are copied (xbr stamp)",
    BuildSource.IMAGE: "bake the commit into the image and say by imageEnv or imageLabels where",
    BuildSource.TAGS: "tag the DAGs with their build (xcom_dags.provenance.make_tags)",
}


def build_confirmed(s: Situation) -> Finding:
    """Everything in the release is of the expected build, before anything is delivered."""
    if s.release.settings.reads_offloaded:
        return done("BuildConfirmed", "the object storage backend is delivered")
    return _confirmed(s)


def build_still_confirmed(s: Situation) -> Finding:
    """It still is, in the pods that the first delivery made, before values are offloaded."""
    if s.release.settings.offloads:
        return done("BuildConfirmed", "the cut-over has taken place")
    return _confirmed(s)


def question(s: Situation, gate: ProvenanceGate) -> BuildQuestion:
    """Return what a look has to answer now."""
    pods = (pod for pod in s.long_lived if not pod.terminating)
    return BuildQuestion(
        expected=gate.expected_build,
        sources=tuple(BuildSource(source) for source in gate.sources),
        labels=gate.image_labels,
        variables=gate.image_env,
        dags=gate.dags,
        digest=s.observed.digest,
        pods=tuple(sorted((pod.uid, pod.started_at) for pod in pods)),
    )


def _confirmed(s: Situation) -> Finding:
    gate = s.spec.gates.provenance
    if gate is None:
        return done("NotRequired", "spec.gates.provenance is absent: any build will do")
    look = InspectBuilds(question(s, gate))
    seen = s.ledger.build
    age = None if seen is None else s.now - seen.observed_at
    if seen is None or age is None or seen.question != look.question:
        return _look(gate, look)
    if seen.verdict is Freshness.FRESH:
        if age >= parse_duration(gate.max_age):
            return _look(gate, look)
        return done("BuildConfirmed", f"{seen.reason}, in {len(look.question.pods)} pods")
    left = parse_duration(gate.interval) - age
    # The same text until something else is seen: a wait of hours adds no history entries.
    message = f"{seen.verdict}: {seen.reason}. {_remedy(gate, seen)}"
    again = look if left.total_seconds() <= 0 else None
    if seen.verdict is Freshness.UNKNOWN:
        return hold("BuildUnknown", message, after=left, action=again)
    return hold("BuildDiffers", message, after=left, action=again)


def _look(gate: ProvenanceGate, look: InspectBuilds) -> Finding:
    return act(
        "LookingForBuild",
        f"checking in {len(look.question.pods)} pods whether {' and '.join(gate.sources)} are of "
        f"{gate.expected_build}",
        look,
    )


def _remedy(gate: ProvenanceGate, seen: BuildSeen) -> str:
    ways = [_CATCH_UP[source] for source in seen.differing]
    if seen.differing:
        ways.append("if another commit is meant, write it to spec.gates.provenance.expectedBuild")
    ways += [_SHOW[source] for source in seen.unseen]
    if seen.unseen and len(gate.sources) > 1:
        named = " and ".join(seen.unseen)
        ways.append(
            f"leave {named} out of spec.gates.provenance.sources if the release does not have it"
        )
    remedy = "; ".join(ways)
    every = format_duration(parse_duration(gate.interval))
    return (
        f"{remedy[:1].upper()}{remedy[1:]}. The pods are checked every {every}, and the rollout "
        "continues by itself"
    )
