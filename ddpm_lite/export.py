"""The network as an ONNX file, for onnxruntime in any language, a browser's among them.

The graph holds the network alone: x (B, C, H, W) float32, t (B,) int64 in 1..T and, where the model
has classes, label (B,) int64, the number of classes meaning "none". It puts out what the network
was trained to say, under that name: v, eps or x_0. The schedule and the samplers stay outside; what
a reader must know to run them lies in the file's metadata as JSON, under "ddpm_lite".

Weights are stored as float16 and cast to float32 when a session starts: half the size, and all is
computed in float32.
"""

import contextlib
import json
import logging
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from ddpm_lite.checkpoint import write_whole
from ddpm_lite.model import DiffusionModel, new_net

if TYPE_CHECKING:
    import onnx


class ExportError(Exception):
    """A model that cannot be exported here; the text is one line."""


def export(model: DiffusionModel, path: Path) -> int:
    """Writes the model to `path`, whole or not at all; returns the number of bytes.

    Raises ExportError without the packages it needs, CheckpointError if the file cannot be written.
    """
    content: bytes = to_onnx(model).SerializeToString()
    write_whole(path, content)
    return len(content)


def to_onnx(model: DiffusionModel) -> "onnx.ModelProto":
    """The model as an ONNX graph for any number of images at a time.

    Raises ExportError without the packages it needs.
    """
    try:
        import onnx
        import onnxscript
    except ImportError as error:
        raise ExportError(
            f"export needs the package {error.name}: pip install 'ddpm-lite[export]'"
        ) from None
    assert onnxscript  # torch.onnx imports it by itself, and would complain in many lines
    model = model.without_variance()

    graph = _trace(model)
    _strip(graph)
    _halve(graph, set(model.net.state_dict()))
    known = graph.metadata_props.add()
    known.key, known.value = "ddpm_lite", json.dumps(model.config.to_dict())
    onnx.checker.check_model(graph)
    return graph


def _trace(model: DiffusionModel) -> "onnx.ModelProto":
    # A copy on the CPU, in float32 and in PyTorch's own layout.
    net = new_net(model.config.unet).eval().requires_grad_(False)
    net.load_state_dict(model.net.state_dict())
    arguments: tuple[Tensor, ...] = (
        torch.zeros(2, *model.config.image_shape, dtype=torch.float32, device="cpu"),
        torch.tensor([1, 2], device="cpu"),
    )
    names = ["x", "t"]
    if model.config.unet.classes:
        arguments, names = (*arguments, torch.tensor([0, 1], device="cpu")), [*names, "label"]
    batch = torch.export.Dim("batch")
    with _quiet():
        program = torch.onnx.export(
            net,
            arguments,
            input_names=names,
            output_names=[model.config.target],
            dynamic_shapes=tuple({0: batch} for _ in names),
            dynamo=True,
            verbose=False,
        )
    assert program is not None  # it is only without dynamo
    proto: onnx.ModelProto = program.model_proto
    return proto


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without the exporter's remarks on packages that are not here and on its own future."""
    logger = logging.getLogger("torch.onnx")
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(before)


def _strip(model: "onnx.ModelProto") -> None:
    """Takes out what the exporter notes for debugging: names of files and lines of this machine."""
    graph = model.graph
    parts: list[Any] = [model, graph, *graph.node, *graph.initializer]
    for part in [*parts, *graph.input, *graph.output, *graph.value_info]:
        part.doc_string = ""
        part.ClearField("metadata_props")


def _halve(model: "onnx.ModelProto", weights: set[str]) -> None:
    """Stores the weights as float16, each with a Cast before all other nodes.

    Other constants stay: at t = 1000 the frequencies of the time need all their digits.
    """
    import numpy as np
    from onnx import TensorProto, helper, numpy_helper

    graph, casts, kept = model.graph, [], []
    for tensor in graph.initializer:
        if tensor.name in weights and tensor.data_type == TensorProto.FLOAT:
            half = f"{tensor.name}.half"
            casts.append(helper.make_node("Cast", [half], [tensor.name], to=TensorProto.FLOAT))
            with np.errstate(over="ignore"):
                array = numpy_helper.to_array(tensor).astype(np.float16)
            if not np.isfinite(array).all():
                raise ExportError(f"{tensor.name}: holds weights that are too large for float16")
            kept.append(numpy_helper.from_array(array, half))
        else:
            kept.append(tensor)
    nodes = [*casts, *graph.node]
    for part, content in (("initializer", kept), ("node", nodes)):
        graph.ClearField(part)
        getattr(graph, part).extend(content)
