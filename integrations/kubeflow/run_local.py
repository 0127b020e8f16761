"""Runs the pipeline on this machine: `python run_local.py URL SERVICE SPINE`, each component in
a process of its own."""

import sys

from features_pipeline import features
from kfp import local

local.init(local.SubprocessRunner(use_venv=False), pipeline_root="outputs")
url, service, spine = sys.argv[1:]
print(features(url=url, service=service, spine=spine).output)
