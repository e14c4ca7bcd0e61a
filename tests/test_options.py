import os
from dataclasses import replace
from pathlib import Path

import pytest
from complaint import fails

from ddpm_lite.options import Sample, _one_line, parse, parse_train, read_recipe, recipe_names
from ddpm_lite.unet import PRESETS

# --- recipes -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", recipe_names())
def test_every_recipe_is_understood(name: str) -> None:
    config = parse_train([name])
    unet = config.model.unet  # a preset, for as many colours and with or without a variance
    free = {name: getattr(unet, name) for name in ("image_channels", "learned_variance")}
    assert unet in [replace(preset, **free) for preset in PRESETS.values()]
    assert config.run.folder == Path("runs") / name


def test_cifar10_recipe_is_the_papers() -> None:
    config = parse_train(["cifar10"])
    assert config.model.unet == PRESETS["cifar10"]
    assert (config.model.schedule, config.model.T, config.model.target) == ("linear", 1000, "eps")
    assert (config.train.learning_rate, config.train.batch_size) == (2e-4, 128)
    assert (config.train.ema_decay, config.train.warmup_steps) == (0.9999, 5000)
    assert config.train.flip
    assert config.train.steps == 800_000


def test_a_recipe_chooses_how_the_side_is_halved(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text('preset = "tiny"\ndownsample = "right_below"\ntimes_from = 0\n')
    wanted = replace(PRESETS["tiny"], downsample="right_below", times_from=0)
    assert parse_train([str(path)]).model.unet == wanted
    words = [str(path), "--downsample", "all_sides", "--times-from", "1"]
    assert parse_train(words).model.unet == PRESETS["tiny"]


def test_the_recipe_comes_first(capsys: pytest.CaptureFixture[str]) -> None:
    assert "the recipe comes first" in fails(["train", "--steps", "5", "tiny"], capsys, 2)


def test_a_recipe_can_say_no(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text('preset = "tiny"\nflip = false\n')
    assert not parse_train([str(path)]).train.flip
    path.write_text('preset = "tiny"\nflip = true\n')
    assert parse_train([str(path)]).train.flip


def test_command_line_overrides_the_recipe() -> None:
    config = parse_train(["tiny", "--steps", "7", "--T", "100", "--flip"])
    assert (config.train.steps, config.model.T, config.train.flip) == (7, 100, True)
    assert config.train.learning_rate == read_recipe_value("tiny", "--learning-rate")


def read_recipe_value(recipe: str, option: str) -> float:
    options = read_recipe(recipe)[1]
    return float(options[options.index(option) + 1])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("stepz = 3", "stepz"),
        ("steps = 'many'", "steps"),
        ("preset = 'huge'", "preset 'huge'"),
        ("steps = ", "recipe"),
        ("target = 'noise'", "target"),
        ("batch_size = 0", "at least 1"),
    ],
)
def test_wrong_recipe_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, message: str
) -> None:
    (tmp_path / "mine.toml").write_text(text)
    assert message in fails(["train", str(tmp_path / "mine.toml")], capsys, 2)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("flpi = false", "no option flpi"),
        ("flpi = true", "no option flpi"),
        ("steps = false", "steps = False, but it is not true or false"),
        ("learning_rate = true", "learning_rate = True, but it is not true or false"),
        ("flip = []", "flip = [], but it is true or false"),
        ("flip = 0", "flip = 0, but it is true or false"),
        ("flip = 'no'", "flip = 'no', but it is true or false"),
        ("train = {}", "no option train"),
        ("[train]\nsteps = 3", "no option train"),
        ("learning_rate = nan", "learning"),
        ("save_minutes = inf", "save_minutes"),
        ("folder = ''", "empty"),
        ("data = ''", "empty"),
        ("# \udcff", "recipe"),
        ("channels = [32, 64, '--data', 'fashion_mnist']", "would be an option"),
        ("channels = [32, '-h']", "would be an option"),
        ("data = '--help'", "would be an option"),
        ("steps = 0x" + "f" * 6000, "4300 digits"),
        ("preset = 0x" + "f" * 6000, "4300 digits"),
        ("#" + " " * 2**24, "too large"),
        ("z." + "a." * 4000 + "a = 1", "no option z"),
        ("z." + "a." * 20_000 + "a = 1", "too large"),  # would take gigabytes
        ("flip." + "a." * 1000 + "a = 1", "recipe"),
        ("[steps." + "a." * 1000 + "a]\nb = 1", "recipe"),
    ],
)
def test_no_value_hides_its_key(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, message: str
) -> None:
    (tmp_path / "mine.toml").write_bytes(text.encode("utf-8", "surrogateescape"))
    line = fails(["train", str(tmp_path / "mine.toml")], capsys, 2)
    assert message in line
    assert "mine.toml" in line


def test_a_pipe_is_no_recipe_and_is_not_waited_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    os.mkfifo(tmp_path / "mine.toml")
    assert "no file" in fails(["train", str(tmp_path / "mine.toml")], capsys, 2)
    assert "no file" in fails(["train", "/dev/null"], capsys, 2)


def test_a_negative_number_is_no_option(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text("seed = -3")
    assert parse_train([str(tmp_path / "mine.toml")]).train.seed == -3


def test_a_recipe_may_use_dashes(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text("batch-size = 5\nflip = false")
    assert parse_train([str(tmp_path / "mine.toml")]).train.batch_size == 5


def test_a_recipe_has_a_folder_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "cats.toml").write_text("")
    assert parse_train([str(tmp_path / "cats.toml")]).run.folder == Path("runs/cats")
    (tmp_path / "cats.toml").write_text("folder = 'elsewhere'")
    assert parse_train([str(tmp_path / "cats.toml")]).run.folder == Path("elsewhere")
    words = [str(tmp_path / "cats.toml"), "--folder", "third"]
    assert parse_train(words).run.folder == Path("third")


def test_a_recipe_with_a_size_beyond_all_use_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "mine.toml").write_text("T = 100_000_000_000")
    line = fails(["train", str(tmp_path / "mine.toml")], capsys, 2)
    assert "mine.toml" in line
    assert "T must lie in 1..100000" in line


# --- the command line ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "words",
    [
        ["train", "--data", ""],
        ["train", "--data="],
        ["train", "--folder", ""],
        ["train", "--folder="],
        ["sample", "--out", ""],
        ["sample", "--npz="],
        ["sample", ""],
    ],
)
def test_an_empty_option_does_not_mean_the_current_folder(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert "empty" in fails(words, capsys, 2)


@pytest.mark.parametrize("words", [["--label", "x="], ["--label=x="], ["--label", "="]])
def test_what_ends_as_an_empty_option_does_may_be_a_name(words: list[str]) -> None:
    assert str(parse(Sample(), words).label).endswith("=")


@pytest.mark.parametrize("value", ["nan", "inf", "-inf", "NaN", "1e999"])
@pytest.mark.parametrize(
    ("command", "option"),
    [
        ("sample", "--guidance-scale"),
        ("sample", "--eta"),
        ("evaluate", "--guidance-scale"),
        ("train", "--save-minutes"),
        ("train", "--learning-rate"),
        ("train", "--weight-decay"),
        ("train", "--clip-norm"),
        ("train", "--ema-decay"),
        ("train", "--cooldown"),
        ("train", "--label-dropout"),
        ("train", "--dropout"),
    ],
)
def test_numbers_that_are_none_are_refused(
    command: str, option: str, value: str, capsys: pytest.CaptureFixture[str]
) -> None:
    line = fails([command, f"{option}={value}"], capsys, 2)
    assert option.removeprefix("--").replace("-", "_") in line.replace("-", "_")


@pytest.mark.parametrize(
    ("box", "line"),
    [
        ("╭─ Value error ─╮\n│ a b │\n│ c │\n│ ─── │\n│ help │\n╰───╯", "a b c"),
        ("+- Value error -+\n| a b |\n| --- |\n| help |\n+---+", "a b"),
        (" Value error \n -----\n  a b\n  -----\n  help\n", "a b"),
        ("╭─ x ─╮\n│ unknown: │\n│ --flag │\n╰───╯", "unknown: --flag"),
        ("a b", "a b"),
        ("", ""),
    ],
)
def test_a_complaint_is_one_line_however_it_is_drawn(box: str, line: str) -> None:
    assert _one_line(box) == line
