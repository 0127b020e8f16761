"""Components of Kubeflow Pipelines: materialize, verify, and a training set as an artifact.

They run in the image HITHERTO_IMAGE, `python:3.12-slim` if it is not set, and install there what
HITHERTO_PACKAGES names, `hitherto[pyarrow]` if it is not set; if it is empty, nothing: the image
then has hitherto, pyarrow and kfp. Pods find a token by HITHERTO_TOKEN_FILE.
"""

import os
from functools import partial

from kfp import dsl
from kfp.dsl import Artifact, Dataset, Input, Metrics, Output

_packages = os.environ.get("HITHERTO_PACKAGES", "hitherto[pyarrow]").split()
_component = partial(
    dsl.component, base_image=os.environ.get("HITHERTO_IMAGE", "python:3.12-slim"),
    packages_to_install=_packages, install_kfp_package=bool(_packages),
)  # fmt: skip


@_component
def materialize(
    url: str,
    views: list = [],  # noqa: B006
    full: bool = False,
    deadline: str = "1h",
) -> int:
    """Brings the sources of views, all if none is named, into the online store; how many facts
    were read."""
    import hitherto

    with hitherto.connect_from_environment(url) as store:
        done = hitherto.steps.materialize(store, views, full=full, deadline=deadline)
    for view in done:
        print(f"{view['view']}: {view['facts']} facts of {view['files']} files read")
    return sum(view["facts"] for view in done)


@_component
def verify(
    url: str,
    views: list = [],  # noqa: B006
    samples: int = 1000,
    deadline: str = "10m",
) -> int:
    """Fails unless lookups and training sets give the same values; how many were compared."""
    import hitherto

    with hitherto.connect_from_environment(url) as store:
        found = hitherto.steps.verify(store, views, samples=samples, deadline=deadline)
    return int(found["values"])


@_component
def training_set(
    url: str,
    service: str,
    spine: Input[Dataset],
    rows: Output[Dataset],
    manifest: Output[Artifact],
    metrics: Output[Metrics],
    timestamp: str = "event_timestamp",
    known_by: str = "",
    max_null_rate: float = 1.0,
) -> str:
    """Joins a service's features to label rows, a Parquet file, each as of its own moment; their
    content hash. Fails if a feature is null in a greater share of rows than max_null_rate."""
    import json

    import hitherto

    with hitherto.connect_from_environment(url) as store:
        found = store.training_set(
            spine.path, service=service, timestamp=timestamp, known_by=known_by or None
        )
        found.write_parquet(rows.path)
        found.check(max_null_rate=max_null_rate)
        report = found.report()
        with open(manifest.path, "w") as file:
            json.dump(found.manifest, file)
    rows.metadata.update(service=service, content_hash=found.content_hash)
    metrics.log_metric("rows", report["rows"])
    metrics.log_metric("rows_that_would_have_leaked", report["leaky_rows"])
    return found.content_hash
