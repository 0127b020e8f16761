import os

import dagster as dg
from hitherto_dagster import definitions_from

features = definitions_from(os.environ["HITHERTO_URL"])
defs = dg.Definitions(
    **features,
    # What is done, the server does.
    executor=dg.in_process_executor,
    jobs=[
        dg.define_asset_job("features", dg.AssetSelection.groups("features")),
        dg.define_asset_job("checks", dg.AssetSelection.checks(*features["asset_checks"])),
    ],
    schedules=[dg.ScheduleDefinition(job_name="features", cron_schedule="5 * * * *")],
)
