"""Models are small and on the CPU, in float32, whatever the machine has."""

import pytest
import torch


@pytest.fixture(autouse=True)
def small_machine(monkeypatch):
    monkeypatch.setenv("EVIDENCE_DEVICE", "cpu")
    monkeypatch.setenv("EVIDENCE_PRECISION", "float32")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        yield
