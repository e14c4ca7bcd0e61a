"""Batches of images without end, for one process or several.

Images stay uint8 until they are on the device: a batch is gathered in one indexing step, moved, and
only there turned into floats in [-1, 1]. For sets that fit in memory this needs no worker
processes.
"""

from collections.abc import Iterator, Mapping

import torch
from torch import Tensor

from ddpm_lite.devices import to_device
from ddpm_lite.images import DataError, Images, to_float


class Batches(Iterator[tuple[Tensor, Tensor]]):
    """Batches of a set in memory, without end: x_0 float32 (B, C, H, W) in [-1, 1], labels (B,).

    Every epoch goes through a fresh permutation; what is left at its end and fills no batch is
    dropped. With `flip`, half of the images, drawn anew each epoch, are mirrored left to right.
    With several processes each gives the same `seed` and its own `rank`: they walk through the same
    permutation and never meet. Raises DataError if the set does not fill one batch in each process.
    """

    def __init__(
        self,
        images: Images,
        batch_size: int,
        device: torch.device | str = "cpu",
        seed: int = 0,
        flip: bool = False,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        if batch_size < 1 or not 0 <= rank < world_size:
            raise ValueError(f"batch_size={batch_size}, rank={rank}, world_size={world_size}")
        if len(images) < batch_size * world_size:
            raise DataError(
                f"{len(images)} images do not fill one batch of {batch_size * world_size}; "
                "take a smaller batch or more images"
            )
        self.images, self.batch_size, self.device = images, batch_size, torch.device(device)
        self.flip, self.rank, self.world_size = flip, rank, world_size
        self._generator = torch.Generator("cpu").manual_seed(seed)
        self._begin_epoch()

    def __len__(self) -> int:
        """Batches an epoch, in this process."""
        return len(self._order) // self.batch_size

    def _begin_epoch(self) -> None:
        """Draws the order and the flips of a whole epoch: its start is all there is to remember."""
        self._start = self._generator.get_state()
        n = len(self.images)
        order = torch.randperm(n, generator=self._generator, device="cpu")
        uniform = torch.rand(n, generator=self._generator, dtype=torch.float32, device="cpu")
        self._flips = uniform < 0.5
        even = n - n % self.world_size  # every process gets as many, so that epochs stay in step
        self._order = order[:even][self.rank :: self.world_size]
        self._position = 0

    def __next__(self) -> tuple[Tensor, Tensor]:
        if self._position + self.batch_size > len(self._order):
            self._begin_epoch()
        chosen = self._order[self._position : self._position + self.batch_size]
        self._position += self.batch_size
        pixels = to_device(self.images.pixels[chosen], self.device)
        if self.flip:
            flips = to_device(self._flips[chosen], self.device)[:, None, None, None]
            pixels = torch.where(flips, pixels.flip(-1), pixels)
        return to_float(pixels), to_device(self.images.labels[chosen], self.device)

    def state_dict(self) -> dict[str, Tensor]:
        """Where the walk stands: random state at the epoch's start (uint8), and place (int64).

        The place is the position in the epoch, the batch size and the number of images.

        It is the same in every process.
        """
        numbers = torch.tensor([self._position, self.batch_size, len(self.images)], device="cpu")
        return {"generator": self._start.clone(), "place": numbers}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Goes on from `state_dict`: the batches that follow are those that would have followed.

        Raises DataError if the state does not fit this set and batch size.
        """
        position, *rest = state["place"].tolist()
        if rest != [self.batch_size, len(self.images)]:
            raise DataError(
                "the saved place in the data does not fit this data set and batch size; go on with "
                "those that the run was begun with"
            )
        self._generator.set_state(state["generator"].cpu())
        self._begin_epoch()
        self._position = position
