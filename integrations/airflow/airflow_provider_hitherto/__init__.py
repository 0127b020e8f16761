"""Hitherto for Apache Airflow: a connection, operators that let a server work, a sensor."""

from __future__ import annotations

from typing import Any


def get_provider_info() -> dict[str, Any]:
    """What Airflow asks a provider."""
    hook = "airflow_provider_hitherto.hook.HithertoHook"
    return {
        "package-name": "airflow-provider-hitherto",
        "name": "Hitherto",
        "description": "The feature store Hitherto",
        "connection-types": [{"connection-type": "hitherto", "hook-class-name": hook}],
    }
