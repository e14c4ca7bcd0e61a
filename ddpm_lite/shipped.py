"""The models that come with the package: where their files lie. Imports nothing."""

from pathlib import Path

PRETRAINED = Path(__file__).parent / "assets" / "mnist.safetensors"
"""The `mnist` preset, trained on MNIST; it also says how sure it is, for a better bound."""

ONE_STEP = PRETRAINED.with_name("mnist_one_step.safetensors")
"""The student of `mnist`, which draws in one step."""

COLOUR = PRETRAINED.with_name("cifar10.safetensors")
"""The `cifar10_small` preset, trained on JPEG copies of CIFAR-10."""

MODELS = {
    "mnist": PRETRAINED,
    "mnist_one_step": ONE_STEP,
    "cifar10": COLOUR,
}
"""All of them, by name."""


def model_path(model: Path | str) -> Path:
    """The file of a shipped model by its name; whatever else is given is a path."""
    return MODELS.get(str(model), Path(model))
