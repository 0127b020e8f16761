# ruff: noqa: B018
"""Mistakes that a type checker must find: one on each marked line, no others."""

import hitherto
from hitherto import FeatureView, Field, Source

store = hitherto.connect("repository")
store.lookup({"id": 1}, ["view:*"])  # wrong
store.training_set("spine.parquet", service="s", known="maybe")  # wrong
store.training_set([1, 2, 3], ["view:*"])  # wrong
store.training_set("spine.parquet", service="s").to_numpy(dtype="int64")  # wrong
store.aio.lookup({"id": [1]}, feature=["view:*"])  # wrong
FeatureView("v", Source("p", "e"), [Field("f")])  # wrong
hitherto.nothing  # wrong
