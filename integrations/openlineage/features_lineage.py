import hitherto
from hitherto.lineage import Lineage

store = hitherto.connect_from_environment()
lineage = Lineage(store, "features", root="/srv/features")
lineage.applied()
lineage.materialize(["labs"])

rows = store.training_set("spine.parquet", service="risk_v1")
with lineage.training_set(rows, "training.parquet"):
    rows.write_parquet("training.parquet")
