"""How often one step of training waits for the GPU, counted without a GPU.

The device `meta` stands in for it: its tensors have shapes and no numbers, so that whatever wants
to know a number there must ask for it through an operation that `Stops` sees.
"""

import contextlib
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import pytest
import torch
from small import MODEL, config, images
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from ddpm_lite.processes import join_world
from ddpm_lite.train import Trainer

FAR = torch.device("meta")
aten = torch.ops.aten


class Stops(TorchDispatchMode):
    """Notes each operation that waits for the far device, and answers it with ones."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def __torch_dispatch__(
        self,
        func: Any,
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        options = dict(kwargs or {})
        if self._waits(func, args, options):
            self.found.append(str(func))
            if func is aten._local_scalar_dense.default:
                return 1.0
            if func is aten._to_copy.default and args[0].device == FAR:
                return torch.ones(args[0].shape, dtype=options.get("dtype"))
        return func(*args, **options)

    @staticmethod
    def _waits(func: Any, args: Sequence[Any], options: Mapping[str, Any]) -> bool:
        """A number that is read, and a copy from device to device that is not asynchronous."""
        if func is aten._local_scalar_dense.default:
            return bool(args[0].device == FAR)
        if func is aten._to_copy.default:
            target = torch.device(options.get("device") or args[0].device)
            return target != args[0].device and not options.get("non_blocking")
        if func is aten.copy_.default:
            asynchronous = options.get("non_blocking") or args[2:] == (True,)
            return bool(args[0].device != args[1].device and not asynchronous)
        return False


def pinned(tensor: Tensor, device: torch.device, dtype: torch.dtype | None = None) -> Tensor:
    """`to_device` as it is on the way to a GPU, but for the pinned memory, which needs one."""
    return tensor.to(dtype or tensor.dtype).to(device, non_blocking=True)


class NearGenerator(torch.Generator):
    """Random numbers for `meta`, which has no generator and needs none."""

    def __new__(cls, device: object = "cpu") -> "NearGenerator":
        return super().__new__(cls, "cpu")


@pytest.fixture
def far(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Trainer]:
    """Makes trainers on the far device; what `meta` cannot do has a stand-in that never waits."""
    for module in ("train", "batches", "diffusion", "schedule"):
        monkeypatch.setattr(f"ddpm_lite.{module}.to_device", pinned)
    plain = partial(torch.optim.AdamW, fused=False)
    monkeypatch.setattr("torch.optim.AdamW", lambda *args, fused, **rest: plain(*args, **rest))
    monkeypatch.setattr("ddpm_lite.train.autocast", lambda *_: contextlib.nullcontext())
    monkeypatch.setattr("torch.Generator", NearGenerator)
    return lambda **changes: Trainer(MODEL, config(**changes), images(), FAR)


@pytest.mark.parametrize(
    "changes", [{}, {"accumulate": 4, "flip": True}, {"times": "half_log", "weighting": "bound"}]
)
def test_a_step_waits_for_the_gpu_once(
    far: Callable[..., Trainer], changes: dict[str, object]
) -> None:
    steps = far(**changes).steps()
    for _ in range(3):
        with Stops() as stops:
            next(steps)
        assert stops.found == ["aten._to_copy.default"]  # the loss and the gradient's length


@pytest.mark.parametrize(
    "ask",
    [
        float, bool, Tensor.item, Tensor.tolist, Tensor.cpu,
        lambda x: x.copy_(torch.ones(())), lambda x: torch.ones(()).to(x.device),
    ],
)  # fmt: skip
def test_whatever_waits_is_counted(ask: Callable[[Tensor], object]) -> None:
    with Stops() as stops:
        ask(torch.ones((), device=FAR))
    assert len(stops.found) == 1


def test_a_copy_that_does_not_wait_is_not_counted() -> None:
    with Stops() as stops:
        pinned(torch.ones(3), FAR).copy_(torch.ones(3), non_blocking=True)
    assert stops.found == []


def test_processes_on_gpus_agree_without_them(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    store = (torch.distributed.HashStore(), 1, 2)
    monkeypatch.setenv("LOCAL_RANK", "1")
    monkeypatch.setattr("ddpm_lite.processes.rendezvous", lambda _: iter([store]))
    monkeypatch.setattr("ddpm_lite.processes.best_device", lambda: torch.device("cuda"))
    monkeypatch.setattr("torch.cuda.set_device", lambda device: asked.append(str(device)))
    monkeypatch.setattr(
        "torch.distributed.init_process_group", lambda backend, **_: asked.append(backend)
    )
    assert join_world() == torch.device("cuda", 1)
    assert asked == ["cuda:1", "cpu:gloo,cuda:nccl"]
