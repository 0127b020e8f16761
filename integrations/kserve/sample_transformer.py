"""Starts KServe's own Feast sample, `driver_transformer.py` as it is. The sample's `__main__`
does not start with kserve 0.21: it declares `--predictor_host` a second time, and argparse
refuses that."""

import sys

import kserve
from driver_transformer.driver_transformer import DriverTransformer

FEATURES = ["conv_rate", "acc_rate", "avg_daily_trips"]

if __name__ == "__main__":
    predictor_host, store = sys.argv[1:3]
    refs = [f"driver_hourly_stats:{name}" for name in FEATURES]
    sample = DriverTransformer("driver", predictor_host, "v1", store, "driver_id", refs)
    sample.load()
    kserve.ModelServer().start([sample])
