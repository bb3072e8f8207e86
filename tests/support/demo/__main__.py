"""The product's main job on a real cluster, shown step by step: `make demo`, `make demo-down`.

`DEMO_PICTURE=docs/demo.svg make demo` writes what it showed as the picture of the README, too.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from demo.chapters import Demo
from harness import tools
from harness.cluster import Cluster
from harness.operator import OperatorInstall
from harness.paths import REPO
from harness.say import say
from harness.shell import HarnessError
from harness.stack import AirflowStack


def up() -> int:
    demo = Demo(Cluster.from_env())
    bundle = REPO / "build" / "bundles" / "demo"
    try:
        demo.run()
        if picture := os.environ.get("DEMO_PICTURE"):
            demo.story.draw(Path(picture))
            say(f"the picture is in {picture}")
    except HarnessError as error:
        say(f"the demo failed: {error}")
        demo.cluster.bundle(bundle)
        say(f"what explains it is in {bundle}")
        return 1
    finally:
        demo.stack.close()
    commands = [
        tools.tool("kubectl").parent,
        tools.tool("helm").parent,
        Path(sys.executable).parent,
    ]
    path = ":".join(map(str, commands))
    print(
        f"""
The cluster stays up. Look around:
  export KUBECONFIG={demo.cluster.kubeconfig} PATH={path}:$PATH
  kubectl describe xbr demo -n airflow
  kubectl xbr status demo -n airflow
  kubectl get events -n airflow --field-selector involvedObject.name=demo
  kubectl get configmap xbr-demo-offloaded-runs -n airflow -o yaml
  kubectl logs -n xcom-rollout deploy/xcom-rollout
  helm history airflow -n airflow
Flip again: kubectl xbr resume demo -n airflow
Remove everything: make demo-down"""
    )
    return 0


def down() -> int:
    cluster = Cluster.from_env()
    if cluster.provider.name == "existing":
        OperatorInstall(cluster).uninstall()
        AirflowStack(cluster).uninstall()
    else:
        cluster.down()
    say("everything that the demo made is removed; built binaries and images stay in the cache")
    return 0


def main(words: Sequence[str]) -> int:
    """`python -m demo up|down`; returns the exit code."""
    verbs = {"up": up, "down": down}
    if len(words) != 1 or words[0] not in verbs:
        say(f"usage: python -m demo {'|'.join(verbs)}")
        return 2
    try:
        return verbs[words[0]]()
    except HarnessError as error:
        say(str(error))
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
