"""A small classifier of MNIST digits, to judge drawn digits by: its features, its confidence.

`python -m ddpm_lite.classifier` trains it anew, prints its accuracy on the test set and writes the
file that comes with the package.
"""

from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from tqdm import tqdm

from ddpm_lite.checkpoint import read, write
from ddpm_lite.data import Batches, Images, mnist, to_float
from ddpm_lite.devices import plain_defaults
from ddpm_lite.model import load_weights

WEIGHTS = Path(__file__).parent / "assets" / "mnist_classifier.safetensors"
"""The weights that come with the package, in float16."""

FEATURES = 128
"""Numbers in the layer before the last."""


def _layer(inputs: int, outputs: int) -> nn.Sequential:
    """Convolution, batch norm, ReLU, then half the side."""
    convolution = nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(outputs), nn.ReLU(), nn.MaxPool2d(2))


class Classifier(nn.Module):
    """Three convolutions, a layer of 128 features, ten logits.

    Images are floats in [-1, 1] of shape (B, 1, 28, 28). Use it in eval mode, as `load_classifier`
    returns it: in train mode an image's features depend on the other images of the batch.
    """

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(_layer(1, 32), _layer(32, 64), _layer(64, 64), nn.Flatten())
        self.hidden = nn.Linear(64 * 3 * 3, FEATURES)
        self.head = nn.Linear(FEATURES, 10)

    def features(self, x: Tensor) -> Tensor:
        """The layer before the last, after its ReLU: (B, 128), not negative."""
        return F.relu(self.hidden(self.body(x)))

    def forward(self, x: Tensor) -> Tensor:
        """Logits of the ten digits, (B, 10)."""
        logits: Tensor = self.head(self.features(x))
        return logits


def load_classifier(path: Path = WEIGHTS) -> Classifier:
    """The trained classifier, in float32, in eval mode, without gradients.

    Raises CheckpointError if the file is missing, damaged or holds something else.
    """
    tensors, _ = read(path)
    with plain_defaults():
        classifier = Classifier()
    load_weights(classifier, tensors, path)
    classifier.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # twice as fast
    return classifier.eval().requires_grad_(False)


@torch.no_grad()
def accuracy(classifier: nn.Module, images: Images, batch_size: int = 100) -> float:
    """The share of images whose most likely digit is their label."""
    right = 0
    for pixels, labels in zip(
        images.pixels.split(batch_size), images.labels.split(batch_size), strict=True
    ):
        right += int((classifier(to_float(pixels)).argmax(1) == labels).sum())
    return right / len(images)


def shifted(
    x: Tensor, generator: torch.Generator, most: int = 2, border: float | None = -1.0
) -> Tensor:
    """Each image (B, C, H, W) moved by up to `most` pixels either way.

    What comes in has the value `border`, or mirrors the image where that is None.
    """
    count, _, height, width = x.shape
    sides = (most, most, most, most)
    padded = F.pad(x, sides, "reflect") if border is None else F.pad(x, sides, value=border)
    offset = torch.randint(2 * most + 1, (2, count, 1), generator=generator)
    rows, columns = offset[0] + torch.arange(height), offset[1] + torch.arange(width)
    image = torch.arange(count)[:, None, None]
    moved = padded[image, :, rows[:, :, None], columns[:, None, :]]  # (B, H, W, C)
    return moved.permute(0, 3, 1, 2)


def train(epochs: int = 4, batch_size: int = 128, seed: int = 0) -> Classifier:
    """A classifier trained on the 60,000 training images, shifted at random; in eval mode."""
    torch.manual_seed(seed)
    shifts = torch.Generator().manual_seed(seed)
    batches = Batches(mnist(train=True), batch_size, seed=seed)
    steps = epochs * len(batches)
    classifier = Classifier().train()
    optimizer = torch.optim.AdamW(classifier.parameters(), weight_decay=0.01)
    rates = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=5e-3, total_steps=steps)
    for _ in tqdm(range(steps), disable=None):
        x, labels = next(batches)
        optimizer.zero_grad()
        F.cross_entropy(classifier(shifted(x, shifts)), labels).backward()
        optimizer.step()
        rates.step()
    return classifier.eval()


def save_classifier(classifier: Classifier, path: Path = WEIGHTS) -> None:
    """Writes the weights in float16. Raises CheckpointError if the file cannot be written."""
    tensors = {
        name: tensor.half() if tensor.is_floating_point() else tensor
        for name, tensor in classifier.state_dict().items()
    }
    write(path, tensors, {"kind": "mnist_classifier"})


def main() -> None:
    """Trains the classifier, writes it and prints the accuracy of what was written."""
    save_classifier(train())
    share = accuracy(load_classifier(), mnist(train=False))
    print(f"{WEIGHTS.name}: {100 * share:.2f} % of the 10,000 test images right")


if __name__ == "__main__":
    main()
