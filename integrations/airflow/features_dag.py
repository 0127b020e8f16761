from datetime import datetime, timedelta, timezone

from airflow.sdk import DAG, Asset
from airflow_provider_hitherto.checks import HithertoFreshnessSensor, HithertoVerifyOperator
from airflow_provider_hitherto.operators import (
    HithertoBackupOperator,
    HithertoMaterializeOperator,
)

BEGIN = datetime(2026, 1, 1, tzinfo=timezone.utc)

with DAG("features", schedule="@hourly", start_date=BEGIN, catchup=False):
    materialize = HithertoMaterializeOperator(
        task_id="materialize", outlets=[Asset("hitherto://features/labs")]
    )
    fresh = HithertoFreshnessSensor(
        task_id="fresh", view="vitals", max_age="1d", mode="reschedule", timeout=3600
    )
    verify = HithertoVerifyOperator(task_id="verify", deadline=timedelta(minutes=10))
    backup = HithertoBackupOperator(task_id="backup", folder="features-{{ ds_nodash }}")
    materialize >> [fresh, verify] >> backup
