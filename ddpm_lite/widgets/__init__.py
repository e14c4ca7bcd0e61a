"""Widgets: each a small class here and a small ES module beside it, alive on a static page."""
