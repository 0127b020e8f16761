"""The messages of `hitherto.v1.JobService`, as far as they are used: fields by number, as in
proto/hitherto/v1/job.proto. What is left out here is skipped when it is read."""

from __future__ import annotations

from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

FIELDS: dict[str, dict[int, str]] = {
    "MaterializeWork": {1: "repeated string views", 2: "bool full", 3: "bool force"},
    "BackupWork": {1: "string folder", 2: "bool copy"},
    "StartJobRequest": {1: "MaterializeWork materialize", 2: "BackupWork backup"},
    "WatchJobRequest": {1: "uint64 id"},
    "CancelJobRequest": {1: "uint64 id"},
    "Job": {1: "uint64 id", 2: "string what", 3: "JobState state", 7: "string result_json",
            8: "string error", 9: "string error_kind"},
}  # fmt: skip
RUNNING, DONE, FAILED, CANCELLED = 1, 2, 3, 4


def _classes() -> dict[str, Any]:
    file = descriptor_pb2.FileDescriptorProto(
        name="hitherto/v1/job_of_airflow.proto", package="hitherto.v1", syntax="proto3"
    )
    for name, fields in FIELDS.items():
        message = file.message_type.add(name=name)
        for number, text in fields.items():
            *repeated, kind, field_name = text.split()
            field = message.field.add(name=field_name, number=number)
            field.label = field.LABEL_REPEATED if repeated else field.LABEL_OPTIONAL
            # An enum is an int32 on the wire.
            plain = getattr(field, f"TYPE_{kind.upper()}", field.TYPE_INT32)
            field.type = field.TYPE_MESSAGE if kind in FIELDS else plain
            if kind in FIELDS:
                field.type_name = f".hitherto.v1.{kind}"
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    find = pool.FindMessageTypeByName
    return {name: message_factory.GetMessageClass(find(f"hitherto.v1.{name}")) for name in FIELDS}


MESSAGES = _classes()
