"""Pictures survive being packed as text."""

import pytest
import torch
from packing import pack, unpack


@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 5, 4)])
def test_packed_and_unpacked(shape: tuple[int, int, int]) -> None:
    pictures = torch.randint(0, 256, (4, *shape), dtype=torch.uint8)
    assert torch.equal(unpack(pack(pictures), *shape), pictures)
