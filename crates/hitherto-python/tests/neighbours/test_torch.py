"""A model of torch, trained on training rows and served by lookups, also by the workers
of a DataLoader. Torch is large, so that it is no requirement: `pip install torch`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import hitherto
import pyarrow as pa
import pyarrow.types as types
import pytest
from conftest import LATER, SERVICE

torch = pytest.importorskip("torch")

FEATURES = ["stay_attributes:age_at_admission", "heart_rate:heart_rate_bpm"]


class Stays(torch.utils.data.Dataset):  # type: ignore[misc, name-defined]
    """Features of one stay, looked up by whoever asks."""

    def __init__(self, store: hitherto.Store, stays: list[str]) -> None:
        self.store, self.stays = store, stays

    def __len__(self) -> int:
        return len(self.stays)

    def __getitem__(self, index: int) -> Any:
        found = self.store.lookup({"hospitalization_id": [self.stays[index]]}, features=FEATURES)
        return torch.nan_to_num(torch.from_numpy(found.to_numpy(dtype="float32")[0]), nan=-1.0)


def test_a_model_learns(embedded: hitherto.Store, spine: pa.Table) -> None:
    rows = embedded.training_set(spine, service=SERVICE, full_names=True)
    names = [
        field.name
        for field in rows.schema
        if field.name not in spine.column_names
        and (types.is_floating(field.type) or types.is_integer(field.type))
    ]
    inputs = rows.to_torch(names)
    assert inputs.shape == (spine.num_rows, len(names))
    assert inputs.dtype == torch.float32
    nulls = sum(rows.to_arrow()[name].null_count for name in names)
    assert int(torch.isnan(inputs).sum()) == nulls > 0

    torch.manual_seed(0)
    labels = torch.from_numpy(spine["died_in_hospital"].to_numpy().astype("float32"))
    inputs = torch.nan_to_num(inputs - torch.nanmean(inputs, 0))
    inputs = inputs / (inputs.std(0) + 1e-6)
    model = torch.nn.Linear(len(names), 1)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.05)
    losses = []
    for _ in range(50):
        loss = torch.nn.functional.binary_cross_entropy_with_logits(model(inputs)[:, 0], labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0] / 2, losses


@pytest.mark.parametrize("start", ["spawn", "fork"])
def test_workers_of_a_loader_look_up(repository: Path, spine: pa.Table, start: str) -> None:
    with hitherto.connect(repository, now=LATER) as store:
        stays = sorted(set(spine["hospitalization_id"].to_pylist()))[:40]
        stored = Stays(store, stays)
        expected = torch.stack([stored[index] for index in range(len(stays))])
        assert bool((expected > 0).any())
        loader = torch.utils.data.DataLoader(
            stored, batch_size=8, num_workers=2, multiprocessing_context=start
        )
        assert torch.equal(torch.cat(list(loader)), expected)
