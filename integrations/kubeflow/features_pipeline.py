from hitherto_kubeflow import materialize, training_set, verify
from kfp import dsl


@dsl.pipeline(name="features")
def features(url: str, service: str, spine: str) -> str:
    built = materialize(url=url)
    checked = verify(url=url).after(built)
    labels = dsl.importer(artifact_uri=spine, artifact_class=dsl.Dataset).after(checked)
    rows = training_set(url=url, service=service, spine=labels.output)
    return rows.outputs["Output"]
