"""The sheets for a look without the key: what is on them, and how answers are counted."""

import json
from pathlib import Path

import blind_look as script
import numpy as np
import pytest
import torch
from PIL import Image

from ddpm_lite.data import mnist


def test_every_picture_is_there_once_and_the_key_tells_the_drawn_ones() -> None:
    drawn = torch.arange(40, dtype=torch.uint8).view(40, 1, 1).expand(40, 28, 28)
    pictures, key = script.shuffled(drawn, 20, seed=3)
    assert len(pictures) == len(key) == 60
    found = pictures[torch.tensor(key)]
    assert sorted(int(each[0, 0]) for each in found) == list(range(40))
    assert [each.unique().numel() for each in found] == [1] * 40
    assert key != sorted(key)
    assert key != sorted(key, reverse=True)


def test_the_real_ones_are_other_test_digits_each() -> None:
    pictures, key = script.shuffled(torch.zeros(5, 28, 28, dtype=torch.uint8), 30, seed=0)
    real = {each.numpy().tobytes() for each in pictures[~torch.tensor(key)]}
    test = {each.numpy().tobytes() for each in mnist(train=False).pixels[:, 0]}
    assert len(real) == 30
    assert real <= test


def test_a_sheet_has_its_pictures_in_reading_order() -> None:
    pictures = torch.zeros(12, 28, 28, dtype=torch.uint8)
    pictures[11] = 255
    page = torch.from_numpy(np.asarray(script.sheet(pictures, 0)).copy())
    side, height = 28 * script.SCALE + 4, 28 * script.SCALE + script.MARGIN
    tile = page[height + script.MARGIN : 2 * height, side : side + 28 * script.SCALE]
    assert bool((tile == 255).all())
    assert not bool((page[script.MARGIN : height, : 28 * script.SCALE] > 0).any())


def test_answers_are_counted_apart() -> None:
    found = script.score([True, False, True, True, False], {0, 2, 4})
    assert found["drawn"] == {"n": 3, "malformed": 2, "share": 0.6667}
    assert found["real"] == {"n": 2, "malformed": 1, "share": 0.5}


def test_a_number_on_no_sheet_is_refused() -> None:
    with pytest.raises(SystemExit, match="no picture has the number 5"):
        script.score([True] * 5, {1, 5})


def test_the_two_commands(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    drawn, look, answers = tmp_path / "drawn.npz", tmp_path / "look", tmp_path / "answers.txt"
    np.savez(drawn, images=np.zeros((150, 28, 28), dtype=np.uint8))
    script.main(["sheets", str(drawn), str(look), "--real", "10"])
    assert [path.name for path in sorted(look.glob("*.png"))] == ["sheet_00.png", "sheet_01.png"]
    assert Image.open(look / "sheet_00.png").size == (880, 980)
    key = json.loads((look / "key.json").read_text())
    answers.write_text(f"{key.index(False)}, {key.index(True)}\n")
    capsys.readouterr()
    script.main(["score", str(look), str(answers)])
    told = json.loads(capsys.readouterr().out)
    assert told["drawn"]["malformed"] == told["real"]["malformed"] == 1
