"""Who else delivers to a release."""

from typing import Any

from xcom_rollout.deliver.owners import foreign_owner


def workload(**metadata: Any) -> dict[str, Any]:
    return {"kind": "Deployment", "metadata": {"name": "airflow-scheduler", **metadata}}


def owner(*objects: dict[str, Any], **labels: str) -> str:
    return foreign_owner("airflow", "data", labels, objects)


def test_a_release_of_helm_alone_has_no_other_owner() -> None:
    labels = {"app.kubernetes.io/instance": "airflow", "release": "airflow"}
    managers = [{"manager": "helm"}, {"manager": "kube-controller-manager"}]
    assert owner(workload(labels=labels, managedFields=managers)) == ""
    assert owner() == ""


def test_flux_is_named_with_the_command_that_suspends_it() -> None:
    labels = {
        "helm.toolkit.fluxcd.io/name": "airflow-prod",
        "helm.toolkit.fluxcd.io/namespace": "flux",
    }
    said = owner(workload(labels=labels))
    assert "Flux (Deployment airflow-scheduler names 'airflow-prod')" in said
    assert "flux suspend helmrelease airflow-prod -n" in said
    assert "flux suspend helmrelease airflow-prod -n flux" in foreign_owner(
        "airflow", "data", labels, ()
    )


def test_argo_cd_is_known_by_its_annotation_and_its_label() -> None:
    tracking = {"argocd.argoproj.io/tracking-id": "prod:apps/Deployment:data/airflow-scheduler"}
    for metadata in (
        {"annotations": tracking},
        {"labels": {"argocd.argoproj.io/instance": "prod"}},
        {
            "labels": {"app.kubernetes.io/instance": "prod"},
            "managedFields": [{"manager": "argocd-controller"}],
        },
    ):
        said = owner(workload(**metadata))
        assert "Argo CD" in said
        assert "argocd app set prod --sync-policy none" in said


def test_the_settings_of_a_dependency_are_named_where_they_stand() -> None:
    flux = {"helm.toolkit.fluxcd.io/name": "prod"}
    said = foreign_owner("airflow", "data", flux, [], ("platform", "airflow"))
    assert "platform.airflow.config.core.xcom_backend and platform.airflow.config.common" in said
