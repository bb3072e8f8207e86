"""All checks of what this process has loaded and is configured with. No network."""

from __future__ import annotations

from xcom_probe.checks import Check, base_path, provider, settings

TABLE: tuple[Check, ...] = (
    *provider.TABLE,
    *settings.TABLE,
    *base_path.TABLE,
    *provider.AFTER_PATH,
)
