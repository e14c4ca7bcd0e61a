"""Each way trains the same small network, and every operation has its part."""

import pytest
import torch
import what_pays as script
from small import MODEL
from torch import nn

from ddpm_lite import fused_norm


def test_each_way_is_told_beside_the_one_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(script, "STEPS", 1)
    rows = script.compared(MODEL, rounds=2)
    assert rows.keys() == script.WAYS.keys()
    assert rows["as it is"]["times"] == 1
    assert all(row["seconds"] > 0 and row["range"][0] <= row["range"][1] for row in rows.values())


def test_without_the_kernel_there_is_none() -> None:
    before = fused_norm.kernel()
    with script.without_kernel():
        assert fused_norm.kernel() is None
    assert fused_norm.kernel() is before


def test_channel_by_channel_the_network_sees_such_pictures() -> None:
    net = nn.Identity()
    net.register_forward_pre_hook(script._own_layout)
    x = torch.zeros(2, 3, 4, 4).contiguous(memory_format=torch.channels_last)
    assert net(x).is_contiguous()


def test_the_shares_are_of_one_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(script, "STEPS", 1)
    found = script.shares(MODEL)
    assert sum(found.values()) == pytest.approx(1, abs=0.01)
    assert {"convolutions", "norms", "optimizer and average"} <= found.keys()
    assert script.part_of("aten::convolution_backward") == "convolutions"
    assert script.part_of("aten::copy_") == "rest"
