"""Hitherto: a low-latency feature store.

    import hitherto

    with hitherto.connect("fixtures/icu") as store:
        frame = store.training_set(spine, service="deterioration_v1").to_pandas()
        values = store.lookup({"patient_id": ["10000032"]}, ["patient_attributes:*"]).to_dict()

No row of a training set sees anything that was not known at its own moment,
and ``lookup(keys, as_of=t)`` gives the same values as the training row at ``t``.

Importing this imports none of pandas, polars and pyarrow; a method that needs
one says so when it is called.
"""

import importlib
from types import ModuleType
from typing import TYPE_CHECKING

from . import definitions
from ._environment import connect_from_environment
from ._errors import (
    ConflictError,
    CorruptError,
    DeniedError,
    Error,
    ForbiddenError,
    InternalError,
    InvalidError,
    NotFoundError,
    UnavailableError,
)
from ._leakage import Leakage
from ._lookup import Lookup
from ._native import __version__
from ._plan import Plan
from ._split import Part, Split
from ._store import Store, connect
from ._training_set import TrainingSet
from ._why import Why
from .definitions import (
    Aggregate,
    Buckets,
    Entity,
    FeatureService,
    FeatureView,
    Field,
    MaxChange,
    OnDemandFeature,
    OnDemandView,
    Online,
    Source,
)

if TYPE_CHECKING:
    from . import aio, contracts, dbt, feast, lineage, mlflow, plot, serving, steps
else:
    MODULES = ("aio", "contracts", "dbt", "feast", "lineage", "mlflow", "plot", "serving", "steps")

    def __getattr__(name: str) -> ModuleType:
        """Modules that are imported when they are first named."""
        if name in MODULES:
            return importlib.import_module(f"{__name__}.{name}")
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


__all__ = [
    "Aggregate",
    "Buckets",
    "ConflictError",
    "CorruptError",
    "DeniedError",
    "Entity",
    "Error",
    "FeatureService",
    "FeatureView",
    "Field",
    "ForbiddenError",
    "InternalError",
    "InvalidError",
    "Leakage",
    "Lookup",
    "MaxChange",
    "NotFoundError",
    "OnDemandFeature",
    "OnDemandView",
    "Online",
    "Part",
    "Plan",
    "Source",
    "Split",
    "Store",
    "TrainingSet",
    "UnavailableError",
    "Why",
    "__version__",
    "aio",
    "connect",
    "connect_from_environment",
    "contracts",
    "dbt",
    "definitions",
    "feast",
    "lineage",
    "mlflow",
    "plot",
    "serving",
    "steps",
]
