"""What a task says when it cannot succeed; each of these fails."""

from datetime import timedelta

from airflow.sdk import DAG
from airflow_provider_hitherto.checks import HithertoFreshnessSensor, HithertoVerifyOperator
from airflow_provider_hitherto.operators import (
    HithertoBackupOperator,
    HithertoMaterializeOperator,
)

with DAG("wrong", schedule=None):
    HithertoVerifyOperator(task_id="stale", views=["labs"])
    HithertoVerifyOperator(task_id="stale_on_a_worker", views=["labs"], deferrable=False)
    HithertoMaterializeOperator(task_id="unknown", views=["lab"])
    HithertoBackupOperator(task_id="slashes", folder="../elsewhere", deferrable=False)
    HithertoFreshnessSensor(task_id="undeclared", view="labs")
    HithertoMaterializeOperator(
        task_id="late", views=["vitals"], full=True, deadline=timedelta(milliseconds=1)
    )
    HithertoMaterializeOperator(task_id="away", conn_id="away")
