"""How a build reaches packages: the way this machine does, and only so."""

from __future__ import annotations

from pathlib import Path

from harness.images import ca_bundle, registry_arguments


def test_only_what_leads_to_packages_is_passed_on() -> None:
    environment = {
        "PIP_INDEX_URL": "http://127.0.0.1:3141/simple",
        "https_proxy": "http://127.0.0.1:3128",
        "UV_INDEX_URL": "",
        "AWS_SECRET_ACCESS_KEY": "never",
    }
    assert registry_arguments(environment) == {
        "PIP_INDEX_URL": "http://127.0.0.1:3141/simple",
        "https_proxy": "http://127.0.0.1:3128",
    }


def test_the_machines_own_authorities_are_used(tmp_path: Path) -> None:
    bundle = tmp_path / "ca.pem"
    bundle.touch()
    assert ca_bundle({"SSL_CERT_FILE": str(bundle)}) == bundle
