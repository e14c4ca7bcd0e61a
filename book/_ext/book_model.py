"""The shipped models as ONNX files among the built site's own, for the widget that draws with them.

They are made of the package's weights at the end of a build and not kept in the repository. Without
the exporter's packages the book is built all the same, and the widget shows a recorded run. Weights
that are missing or damaged fail the build.
"""

from pathlib import Path

from sphinx.application import Sphinx
from sphinx.errors import SphinxError
from sphinx.util import logging

from ddpm_lite.shipped import MODELS
from ddpm_lite.widgets.files import model_file

logger = logging.getLogger(__name__)


def write_models(app: Sphinx, error: Exception | None) -> None:
    """Write each, unless the build failed or the file is there and newer than the weights.

    Raises SphinxError, which Sphinx tells in one line, for weights that cannot be read.
    """
    if error is not None or app.builder.format != "html":
        return
    places = {name: Path(app.outdir) / "_static" / model_file(name) for name in MODELS}
    old = {name: path for name, path in places.items() if not is_newer(path, MODELS[name])}
    if not old:
        return
    # takes seconds to import, and a build of one page needs it not at all
    from ddpm_lite.checkpoint import CheckpointError
    from ddpm_lite.export import ExportError, export
    from ddpm_lite.model import DiffusionModel

    for name, path in old.items():
        try:
            size = export(DiffusionModel.load(name), path)
        except ExportError as reason:
            logger.info("models are left out, their widget shows a recorded run: %s", reason)
            return
        except CheckpointError as reason:
            raise SphinxError(f"the model {name}: {reason}") from None
        logger.info("a model for the reader's browser: %.2f MB in %s", size / 1e6, path)


def is_newer(path: Path, weights: Path) -> bool:
    """Whether both are there and `path` was written later."""
    both = path.is_file() and weights.is_file()
    return both and path.stat().st_mtime > weights.stat().st_mtime


def setup(app: Sphinx) -> dict[str, bool]:
    """Connects it to the end of the build, when _static is complete."""
    app.connect("build-finished", write_models)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
