"""Tests in a real browser. A package, because its files are named as those of tests/widgets are."""
