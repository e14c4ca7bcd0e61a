"""What the benchmark of the page's sampler adds up, and where it looks."""

from pathlib import Path

import page_sampler


def test_the_first_drawing_loads_and_does_not_count() -> None:
    drawn = [(20.0, 9.0), (20.0, 0.5), (20.0, 0.8), (20.0, 0.6)]
    assert page_sampler.summary(drawn) == {
        "steps": 20,
        "drawings": 3,
        "median_s": 0.6,
        "range_s": [0.5, 0.8],
    }


def test_pages_with_a_sampler_are_found(tmp_path: Path) -> None:
    (tmp_path / "book").mkdir()
    (tmp_path / "index.html").write_text('<div class="book-widget" data-widget="sampler">')
    (tmp_path / "book" / "11.html").write_text('<div data-widget="sampler" class="book-widget">')
    (tmp_path / "book" / "12.html").write_text('<div class="book-widget" data-widget="toy">')
    assert page_sampler.with_samplers(tmp_path) == ["book/11.html", "index.html"]
