"""Why a release cannot be delivered to in its present state: messages for people, with a remedy."""

from collections.abc import Sequence

from xcom_rollout.decide.settings import BackendSettings, place_of
from xcom_rollout.deliver.airflow_config import AirflowConfig
from xcom_rollout.deliver.manifests import Difference, name_some
from xcom_rollout.deliver.release import StoredRelease


def not_ours(stored: StoredRelease, stopped: Sequence[Difference]) -> str:
    """Return that a delivery would change more than what a flip owns, and the remedy."""
    unstable = [one for one in stopped if one.unstable]
    others = [one for one in stopped if not one.unstable]
    why = []
    if others:
        why.append(
            f"a helm upgrade with the chart and the values of revision {stored.revision} would "
            f"change more than the XCom options: {name_some(others)}. The release was created "
            "with something in addition (a post-renderer, a changed chart, another Helm "
            "operation), or a template reads the date or the cluster; move that into the chart's "
            "values and upgrade the release once yourself; the rollout then continues"
        )
    if unstable:
        why.append(
            f"the chart generates {name_some(unstable, how='at each render')} (a random text or "
            "the time in a template), so each delivery would change more than the XCom options. "
            "Set a fixed value for it in the chart's values and upgrade the release once "
            "yourself, or make it an annotation of a pod template, where it does not block a "
            "delivery"
        )
    return f"release {stored.name}: {'. In addition, '.join(why)}"


def not_taken(
    stored: StoredRelease, settings: BackendSettings, wrong: Sequence[str], made: AirflowConfig
) -> str:
    """Return that the chart renders these options to other values, and the remedy."""
    asked, path = settings.by_option, stored.airflow.path
    places = ", ".join(
        f"{place_of(option, path)} ({asked[option] or 'not set'})" for option in wrong
    )
    if made.made_by is not None and made.made_by != path:
        named = ".".join(made.made_by)
        remedy = (
            f"airflow.cfg is rendered by the chart whose values are below {named}: set "
            "spec.delivery.helm.valuesPath to that key"
            if named
            else "airflow.cfg is rendered by that chart itself: remove "
            "spec.delivery.helm.valuesPath"
        )
    else:
        remedy = (
            "if a template or another value sets the option, make it use "
            "config.<section>.<option>, as Airflow's own chart does; if Airflow's chart is a "
            "dependency, set spec.delivery.helm.valuesPath to the key of its values (such as "
            "airflow)"
        )
    return (
        f"release {stored.name}: airflow.cfg would not contain what is written to {places} in the "
        f"values of the chart {stored.chart_name} {stored.chart_version}; {remedy}"
    )
