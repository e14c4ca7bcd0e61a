"""The sampler widget: the page's own arithmetic, and its pictures, are PyTorch's."""
