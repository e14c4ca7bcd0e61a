"""What the sampler's widget loads from the built site, and how it knows that it is on a page."""

RUNTIME_FILES = {
    "runtime": "vendor/ort/ort.wasm.bundle.min.mjs",
    "wasm": "vendor/ort/ort-wasm-simd-threaded.wasm",
}
"""Where it finds onnxruntime."""
RUNTIME_BYTES = 14_239_897
"""Size of the larger of them, in the version that book/vendor/package.json names."""
PAGES = "DDPM_LITE_PAGES"
"""Stands in the environment while pages are built: they are read without a kernel."""


def model_file(name: str) -> str:
    """Where below _static/ the page finds a model: book/_ext/book_model.py puts it there."""
    return f"models/{name}.onnx"
