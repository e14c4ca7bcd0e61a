"""The shipped model as an ONNX file among the built site's own, for the widget that draws with it.

It is made of the package's weights at the end of a build and not kept in the repository. Without
the exporter's packages the book is built all the same, and the widget shows a recorded run.
"""

from pathlib import Path

from sphinx.application import Sphinx
from sphinx.util import logging

from ddpm_lite.export import ExportError, export
from ddpm_lite.model import PRETRAINED, DiffusionModel
from ddpm_lite.widgets.sampler import MODEL_FILE

logger = logging.getLogger(__name__)


def write_model(app: Sphinx, error: Exception | None) -> None:
    """Write it, unless the build failed or the file is there and newer than the weights."""
    if error is not None or app.builder.format != "html":
        return
    path = Path(app.outdir) / "_static" / MODEL_FILE
    if path.is_file() and path.stat().st_mtime > PRETRAINED.stat().st_mtime:
        return
    try:
        size = export(DiffusionModel.load(), path)
    except ExportError as reason:
        logger.info("the model is left out, its widget shows a recorded run: %s", reason)
    else:
        logger.info("the model for the reader's browser: %.2f MB in %s", size / 1e6, path)


def setup(app: Sphinx) -> dict[str, bool]:
    """Connects it to the end of the build, when _static is complete."""
    app.connect("build-finished", write_model)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
