"""The shipped models as ONNX files among the built site's own, for the widget that draws with them.

They are made of the package's weights at the end of a build and not kept in the repository. Without
the exporter's packages the book is built all the same, and the widget shows a recorded run.
"""

from pathlib import Path

from sphinx.application import Sphinx
from sphinx.util import logging

from ddpm_lite.export import ExportError, export
from ddpm_lite.model import MODELS, DiffusionModel
from ddpm_lite.widgets.sampler import model_file

logger = logging.getLogger(__name__)


def write_models(app: Sphinx, error: Exception | None) -> None:
    """Write each, unless the build failed or the file is there and newer than the weights."""
    if error is not None or app.builder.format != "html":
        return
    for name, weights in MODELS.items():
        path = Path(app.outdir) / "_static" / model_file(name)
        if path.is_file() and path.stat().st_mtime > weights.stat().st_mtime:
            continue
        try:
            size = export(DiffusionModel.load(weights), path)
        except ExportError as reason:
            logger.info("models are left out, their widget shows a recorded run: %s", reason)
            return
        logger.info("a model for the reader's browser: %.2f MB in %s", size / 1e6, path)


def setup(app: Sphinx) -> dict[str, bool]:
    """Connects it to the end of the build, when _static is complete."""
    app.connect("build-finished", write_models)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
