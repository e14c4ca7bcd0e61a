"""ddpm_lite: denoising diffusion in a small PyTorch package, beside the book that proves it."""

__version__ = "0.1.0"
