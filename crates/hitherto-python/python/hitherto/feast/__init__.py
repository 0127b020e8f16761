"""Coming from Feast: its calls, its repositories, its plugin interface.

    from hitherto.feast import FeatureStore        # instead of: from feast import FeatureStore

    store = FeatureStore("my-features")
    frame = store.get_historical_features(entity_df, ["driver_stats:conv_rate"]).to_df()
    answer = store.get_online_features(["driver_stats:conv_rate"], [{"driver_id": 1001}]).to_dict()

``python -m hitherto.feast import REPO --into DIR`` writes definitions for a Feast
repository. With ``offline_store: {type: hitherto.feast.OfflineStore}`` and
``online_store: {type: hitherto.feast.OnlineStore}`` in its ``feature_store.yaml`` a
Feast repository stays as it is and Hitherto joins its training sets and answers its
lookups. Both need PyPI's feast; the calls above do not.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from ._calls import FeatureStore, OnlineResponse, RetrievalJob
from ._convert import Finding
from ._import import Report, import_repository

if TYPE_CHECKING:
    from ._offline import OfflineStore, OfflineStoreConfig
    from ._online import OnlineStore, OnlineStoreConfig
else:
    PLUGINS = {
        "OfflineStore": "_offline",
        "OfflineStoreConfig": "_offline",
        "OnlineStore": "_online",
        "OnlineStoreConfig": "_online",
    }

    def __getattr__(name: str) -> Any:
        """What needs feast is imported when it is first named."""
        if name in PLUGINS:
            return getattr(importlib.import_module(f"{__name__}.{PLUGINS[name]}"), name)
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


__all__ = [
    "FeatureStore",
    "Finding",
    "OfflineStore",
    "OfflineStoreConfig",
    "OnlineResponse",
    "OnlineStore",
    "OnlineStoreConfig",
    "Report",
    "RetrievalJob",
    "import_repository",
]
