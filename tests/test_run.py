"""A training's folder: what is written, and what survives a kill."""

import errno
import json
import math
import os
import random
import re
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, suppress
from dataclasses import replace
from multiprocessing.context import ForkServerProcess
from pathlib import Path

import apart
import pytest
import torch
from small import MODEL, assert_same, config, images, trainer, weights

from ddpm_lite import run as run_module
from ddpm_lite.checkpoint import CheckpointError, read
from ddpm_lite.draw import DrawConfig, draw
from ddpm_lite.lock import LOCK, in_use, locked
from ddpm_lite.model import DiffusionModel
from ddpm_lite.run import (
    BEFORE,
    CHECKPOINT,
    KEPT,
    METRICS,
    WEIGHTS,
    Log,
    RunConfig,
    Stopped,
    after_restart,
    append_line,
    check_folder,
    is_doubling,
    run,
    stop_signals,
)
from ddpm_lite.train import Trainer, TrainingError, TrainState

pytestmark = pytest.mark.slow  # each of them trains


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Drawing takes longer than training here: a grey page will do where it is not the question."""
    grey = torch.full((64, 1, 8, 8), 128, dtype=torch.uint8)
    monkeypatch.setattr(run_module, "draw", lambda *_: grey)


def test_run_writes_its_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_module, "draw", draw)
    path = run(trainer(), RunConfig(folder=tmp_path / "a", picture_steps=6))
    assert path == tmp_path / "a" / WEIGHTS
    names = {str(p.relative_to(tmp_path / "a")) for p in (tmp_path / "a").rglob("*") if p.is_file()}
    pictures = {"samples/step_000006.png", "samples/step_000012.png"}
    assert names == {CHECKPOINT, METRICS, WEIGHTS, LOCK} | pictures
    model = DiffusionModel.load(path)
    whole = DiffusionModel.load(tmp_path / "a" / CHECKPOINT)
    for name, tensor in model.net.state_dict().items():
        torch.testing.assert_close(tensor, whole.net.state_dict()[name], rtol=1e-3, atol=1e-6)


def test_run_does_not_overwrite_a_run(tmp_path: Path) -> None:
    run(trainer(), RunConfig(folder=tmp_path))
    before = (tmp_path / CHECKPOINT).read_bytes()
    with pytest.raises(TrainingError, match="already holds a run"):
        run(trainer(), RunConfig(folder=tmp_path))
    assert (tmp_path / CHECKPOINT).read_bytes() == before


@pytest.mark.parametrize(
    "change",
    [
        {"picture_steps": 0},
        {"save_minutes": -1.0},
        {"save_minutes": math.nan},
        {"save_minutes": math.inf},
    ],
)
def test_impossible_intervals_are_refused(change: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=r"at least|finite"):
        RunConfig(**change)  # type: ignore[arg-type]


def lines_of(folder: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (folder / METRICS).read_text().splitlines()]


@pytest.mark.parametrize(
    "tail",
    [
        b'{"step": 100, "loss": 1.0}\n{"step": 15',
        b"\0" * 4096,
        b'\0\0\0{"step": 50, "loss": 1.0}\n',
        b'{"step": 50}',
        b"[50]\n7\nnull\n\n",
        b'{"loss": 1.0}\n{"step": "many"}\n',
        b"\xff\xfe\n" + b"[" * 100_000 + b"\n",
    ],
)
def test_metrics_are_cut_back_to_what_is_whole_and_before_the_checkpoint(
    tmp_path: Path, tail: bytes
) -> None:
    good = b'{"step": 50, "loss": 1.0}\n'
    (tmp_path / METRICS).write_bytes(good + tail)
    assert run_module._lines_until(tmp_path / METRICS, 50) == [good]


def test_a_run_goes_on_after_a_power_cut(tmp_path: Path) -> None:
    run(trainer(steps=50), RunConfig(folder=tmp_path))
    with (tmp_path / METRICS).open("ab") as file:
        file.write(b"\0" * 100)
    run(trainer(steps=60), RunConfig(folder=tmp_path, resume=True))
    assert [line["step"] for line in lines_of(tmp_path)] == [50, 60]


def test_a_run_without_metrics_goes_on(tmp_path: Path) -> None:
    run(trainer(steps=50), RunConfig(folder=tmp_path))
    (tmp_path / METRICS).unlink()
    run(trainer(steps=60), RunConfig(folder=tmp_path, resume=True))
    assert [line["step"] for line in lines_of(tmp_path)] == [60]


@pytest.mark.parametrize("kept", [[], [WEIGHTS], [METRICS], [WEIGHTS, METRICS]])
def test_nothing_to_resume_is_refused_and_what_is_there_stays(
    tmp_path: Path, kept: list[str]
) -> None:
    for name in kept:
        (tmp_path / name).write_bytes(b"mine")
    with pytest.raises(TrainingError, match="nothing to resume"):
        run(trainer(), RunConfig(folder=tmp_path, resume=True))
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == dict.fromkeys(
        kept, b"mine"
    )


@pytest.mark.parametrize("name", [WEIGHTS, CHECKPOINT, METRICS])
def test_weights_and_metrics_are_not_overwritten_unasked(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"mine")
    with pytest.raises(TrainingError, match=f"already holds a run .{name}"):
        run(trainer(), RunConfig(folder=tmp_path))
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"mine"]


@pytest.mark.parametrize("name", [WEIGHTS, CHECKPOINT, METRICS])
def test_paths_are_looked_at_before_anything_is_trained(tmp_path: Path, name: str) -> None:
    (tmp_path / name).mkdir()
    fresh = trainer()
    with pytest.raises(CheckpointError, match="cannot be written"):
        run(fresh, RunConfig(folder=tmp_path))
    assert fresh.step == 0


def test_a_run_that_did_nothing_does_not_hold_the_folder(tmp_path: Path) -> None:
    broken = trainer()
    broken.steps = lambda: (_ for _ in ()).throw(RuntimeError("no compiler"))  # type: ignore[method-assign]
    with pytest.raises(RuntimeError, match="no compiler"):
        run(broken, RunConfig(folder=tmp_path))
    run(trainer(), RunConfig(folder=tmp_path))


# --- A side job costs nothing --------------------------------------------------------------------


def test_a_short_chain_is_drawn_in_all_its_steps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_module, "draw", draw)
    short = Trainer(replace(MODEL, T=10), config(), images(), "cpu")
    run(short, RunConfig(folder=tmp_path, picture_steps=6))
    assert len(list((tmp_path / "samples").iterdir())) == 2


def test_pictures_are_drawn_without_guidance_where_there_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scales = []

    def note(model: DiffusionModel, n: int, config: DrawConfig) -> torch.Tensor:
        scales.append(config.guidance_scale)
        return torch.zeros(1, 1, 8, 8, dtype=torch.uint8)

    monkeypatch.setattr(run_module, "draw", note)
    for dropout in (0.0, 0.1):
        run(trainer(label_dropout=dropout, steps=2), RunConfig(folder=tmp_path / str(dropout)))
    assert scales == [1.0, DrawConfig().guidance_scale]
    assert scales[1] != 1.0


@pytest.mark.parametrize(("size", "parts", "at_once"), [(8, 1, 8), (8, 4, 2), (128, 1, 64)])
def test_a_picture_takes_no_more_at_once_than_the_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int, parts: int, at_once: int
) -> None:
    sizes = []

    def note(model: DiffusionModel, n: int, config: DrawConfig) -> torch.Tensor:
        sizes.append((n, config.batch_size))
        return torch.zeros(1, 1, 8, 8, dtype=torch.uint8)

    monkeypatch.setattr(run_module, "draw", note)
    options = config(steps=1, batch_size=size, accumulate=parts)
    run(Trainer(MODEL, options, images(128), "cpu"), RunConfig(folder=tmp_path))
    assert sizes == [(64, at_once)]


def test_a_picture_that_fails_is_told_and_the_training_goes_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "samples").write_text("in the way")
    run(trainer(), RunConfig(folder=tmp_path, picture_steps=6))
    assert (tmp_path / WEIGHTS).exists()
    assert (tmp_path / "samples").read_text() == "in the way"
    assert [record.message.split(":")[0] for record in caplog.records] == [
        "no picture, the training goes on"
    ] * 2


def test_memory_that_a_picture_lacks_is_told_and_the_training_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def too_much(*_: object) -> None:
        torch.empty(2**62, dtype=torch.uint8)

    monkeypatch.setattr(run_module, "draw", too_much)
    run(trainer(), RunConfig(folder=tmp_path))
    assert DiffusionModel.load(tmp_path / WEIGHTS)
    assert "the training goes on" in caplog.text


def test_a_line_or_a_checkpoint_that_fails_is_told_and_the_training_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    training, save = trainer(steps=100), Trainer.save
    calls = []

    def fail_once(self: Trainer, path: Path, keep: str) -> None:
        calls.append(self.step)
        if len(calls) == 1:
            raise CheckpointError("the disk is full")
        save(self, path, keep)

    def no_line(path: Path, line: str) -> None:
        raise CheckpointError("no room for a line")

    monkeypatch.setattr(Trainer, "save", fail_once)
    monkeypatch.setattr(run_module, "append_line", no_line)
    run(training, RunConfig(folder=tmp_path, save_minutes=0))
    assert calls == [50, 100]
    assert read(tmp_path / CHECKPOINT)[1]["step"] == 100
    assert "the disk is full" in caplog.text
    assert "no room for a line" in caplog.text


def test_a_line_for_which_there_is_no_room_leaves_nothing(tmp_path: Path) -> None:
    """The limit stands for the disk: what fits is written, and then no more."""
    resource = pytest.importorskip("resource", reason="this system limits no file sizes")
    path, limits = tmp_path / "new" / METRICS, resource.getrlimit(resource.RLIMIT_FSIZE)
    append_line(path, '{"step": 50}')
    resource.setrlimit(resource.RLIMIT_FSIZE, (20, limits[1]))
    try:
        with pytest.raises(CheckpointError, match="cannot be written"):
            append_line(path, '{"step": 100}')
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    append_line(path, '{"step": 150}')
    assert [line["step"] for line in lines_of(path.parent)] == [50, 150]


def test_a_progress_bar_that_nobody_reads_costs_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = Log(trainer(), tmp_path / METRICS)

    def closed(*_: object) -> None:
        raise BrokenPipeError(32, "Broken pipe")

    for name in ("update", "set_postfix_str", "close"):
        monkeypatch.setattr(log.bar, name, closed)
    log.add(TrainState(step=50, loss=2.0, grad_norm=1.0, learning_rate=0.1))
    log.close()
    assert lines_of(tmp_path)[0]["loss"] == 2.0


@pytest.mark.parametrize("clock", ["time", "monotonic", "perf_counter"])
def test_a_clock_that_stands_still_costs_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, clock: str
) -> None:
    monkeypatch.setattr(f"time.{clock}", lambda: 16.0)
    run(trainer(), RunConfig(folder=tmp_path))
    speed = lines_of(tmp_path)[0]["images_per_second"]
    assert speed is None if clock == "perf_counter" else speed > 0


# --- Asked to stop -------------------------------------------------------------------------------


def signalled(of: Trainer, number: int, at: int, times: int = 1) -> Trainer:
    """The trainer, that gets a signal in the middle of a step."""
    update = of._update

    def with_signal() -> TrainState:
        if of.step + 1 == at:
            for _ in range(times):
                os.kill(os.getpid(), number)
        return update()

    of._update = with_signal  # type: ignore[method-assign]
    return of


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_the_step_and_saves_so_that_resume_is_as_if_it_had_not_been(
    tmp_path: Path, number: int
) -> None:
    before = signal.getsignal(number)
    with pytest.raises(Stopped, match=r"step 7 of 12, which is saved; .* --resume") as stop:
        run(signalled(trainer(), number, at=7), RunConfig(folder=tmp_path / "a"))
    assert stop.value.signal == number
    assert signal.getsignal(number) is before
    assert not (tmp_path / "a" / WEIGHTS).exists()
    again = trainer()
    run(again, RunConfig(folder=tmp_path / "a", resume=True))
    through = trainer()
    run(through, RunConfig(folder=tmp_path / "b"))
    assert_same(weights(again), weights(through))
    lines, whole = lines_of(tmp_path / "a"), lines_of(tmp_path / "b")
    assert [line["step"] for line in lines] == [7, 12]
    mean = (7 * lines[0]["loss"] + 5 * lines[1]["loss"]) / 12
    assert math.isclose(mean, whole[0]["loss"], rel_tol=1e-9)


def test_a_signal_in_the_last_step_lets_the_run_end(tmp_path: Path) -> None:
    run(signalled(trainer(), signal.SIGTERM, at=12), RunConfig(folder=tmp_path))
    assert (tmp_path / WEIGHTS).exists()


def test_a_second_interrupt_ends_at_once(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        run(signalled(trainer(), signal.SIGINT, at=3, times=2), RunConfig(folder=tmp_path))
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_second_sigterm_does_not(tmp_path: Path) -> None:
    with pytest.raises(Stopped):
        run(signalled(trainer(), signal.SIGTERM, at=3, times=2), RunConfig(folder=tmp_path))


def test_of_two_signals_the_first_is_told(tmp_path: Path) -> None:
    of = signalled(signalled(trainer(), signal.SIGHUP, at=3), signal.SIGTERM, at=3)
    with pytest.raises(Stopped) as stop:
        run(of, RunConfig(folder=tmp_path))
    assert stop.value.signal == signal.SIGTERM


def test_torchrun_sends_an_interrupt_once_more_and_that_ends_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(run_module, "world", lambda: (0, 2))
    with suppress(KeyboardInterrupt), stop_signals() as asked:
        for _ in range(3):
            os.kill(os.getpid(), signal.SIGINT)
    assert asked == [signal.SIGINT] * 3
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_an_ignored_signal_stays_ignored(tmp_path: Path) -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        run(signalled(trainer(), signal.SIGHUP, at=3), RunConfig(folder=tmp_path))
        assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)
    assert (tmp_path / WEIGHTS).exists()


def test_a_run_in_a_thread_needs_no_signals(tmp_path: Path) -> None:
    with ThreadPoolExecutor() as pool:
        assert pool.submit(run, trainer(), RunConfig(folder=tmp_path)).result().exists()


# --- Stored truth --------------------------------------------------------------------------------


def test_resume_says_which_options_differ(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    run(trainer(learning_rate=2e-3), RunConfig(folder=tmp_path))
    run(trainer(learning_rate=2e-3), RunConfig(folder=tmp_path, resume=True))
    assert caplog.text == ""
    changed = trainer(ema_decay=0.5, weighting="min_snr", seed=3, steps=13)
    run(changed, RunConfig(folder=tmp_path, resume=True))
    told = "\n".join(record.message for record in caplog.records)
    for name, now, stored in (
        ("learning_rate", "0.001", "0.002"),
        ("ema_decay", "0.5", "0.9"),
        ("weighting", "min_snr", "simple"),
        ("seed", "3", "0"),
        ("steps", "13", "12"),
    ):
        assert re.search(rf"{name}.*{now}.*{stored}|{name}.*{stored}.*{now}", told)
    assert "batch_size" not in told


def test_output_that_is_in_the_way_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(CheckpointError, match="cannot be written"):
        run(trainer(), RunConfig(folder=tmp_path / "file"))
    assert (tmp_path / "file").read_text() == "not a folder"


# --- Two checkpoints -----------------------------------------------------------------------------


def test_weights_are_kept_at_doubled_steps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_module, "FIRST_KEPT", 2)
    run(trainer(steps=9), RunConfig(folder=tmp_path, keep_doublings=True))
    kept = sorted((tmp_path / KEPT).iterdir())
    assert [read(path, only="nothing")[1]["step"] for path in kept] == [2, 4, 8]
    tensors = read(kept[0])[0]
    assert all(name.startswith("ema.") for name in tensors)


def test_doublings_begin_at_the_first_and_leave_out_all_else() -> None:
    assert [step for step in range(5000) if is_doubling(step)] == [250, 500, 1000, 2000, 4000]


@pytest.fixture
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_module, "LOG_EVERY", 4)


def two_checkpoints(folder: Path) -> tuple[bytes, bytes]:
    """A run stopped at step 10 with those of 8 and 10; returns their bytes, newest first."""
    config = RunConfig(folder=folder, save_minutes=0)
    with pytest.raises(Stopped):
        run(signalled(trainer(), signal.SIGTERM, at=10), config)
    newest = (folder / CHECKPOINT).resolve()
    return newest.read_bytes(), newest.with_name(BEFORE).read_bytes()


@pytest.mark.usefixtures("often")
def test_minutes_count_from_the_checkpoint_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A step takes a minute here."""
    of, saved = trainer(steps=18), list[int]()
    save = of.save

    def note(path: Path, keep: str) -> None:
        saved.append(of.step)
        save(path, keep)

    of.save = note  # type: ignore[method-assign]
    monkeypatch.setattr("time.perf_counter", lambda: 60.0 * of.step)
    run(of, RunConfig(folder=tmp_path, save_minutes=6))
    assert saved == [8, 16, 18]


@pytest.mark.usefixtures("often")
def test_the_two_newest_checkpoints_are_kept(tmp_path: Path) -> None:
    two_checkpoints(tmp_path)
    assert read(tmp_path / CHECKPOINT)[1]["step"] == 10
    assert read(tmp_path / BEFORE)[1]["step"] == 8
    assert "add --resume" in refusal(tmp_path)
    (tmp_path / CHECKPOINT).unlink()
    assert "add --resume" in refusal(tmp_path)


def refusal(folder: Path) -> str:
    with pytest.raises(TrainingError) as error:
        check_folder(RunConfig(folder=folder))
    return str(error.value)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, torch.Tensor]:
    through = trainer()
    for _ in through.steps():
        continue
    return weights(through)


@pytest.mark.usefixtures("often")
@pytest.mark.parametrize("damage", ["flipped", "cut", "empty", "gone", "foreign"])
def test_a_damaged_newest_checkpoint_falls_back_to_the_one_before(
    tmp_path: Path,
    damage: str,
    undisturbed: dict[str, torch.Tensor],
    caplog: pytest.LogCaptureFixture,
) -> None:
    newest, before = two_checkpoints(tmp_path)
    middle = len(newest) * 3 // 4  # among the tensors
    flipped = newest[:middle] + bytes([newest[middle] ^ 1]) + newest[middle + 1 :]
    (tmp_path / CHECKPOINT).write_bytes(
        {"flipped": flipped, "cut": newest[:-1], "empty": b"", "foreign": b"x" * 999}.get(
            damage, b""
        )
    )
    if damage == "gone":
        (tmp_path / CHECKPOINT).unlink()
    with pytest.raises(Stopped):  # before another checkpoint: the good one is the newest now
        run(signalled(trainer(), signal.SIGTERM, at=9), RunConfig(folder=tmp_path, resume=True))
    (told,) = [record.getMessage() for record in caplog.records]
    assert CHECKPOINT in told
    assert told.endswith("goes on from the one before it, at step 8")
    assert (tmp_path / BEFORE).read_bytes() == before
    last = trainer()
    run(last, RunConfig(folder=tmp_path, resume=True))
    assert_same(weights(last), undisturbed)


def test_two_damaged_checkpoints_are_refused_and_stay(tmp_path: Path) -> None:
    for name in (CHECKPOINT, BEFORE):
        (tmp_path / name).write_bytes(b"damaged")
    told = rf"/{CHECKPOINT}: not a .* cannot help: .*/{BEFORE}: not a .*; both are left as they are"
    with pytest.raises(CheckpointError, match=told) as error:
        run(trainer(), RunConfig(folder=tmp_path, resume=True))
    assert "\n" not in str(error.value)
    assert (tmp_path / CHECKPOINT).read_bytes() == (tmp_path / BEFORE).read_bytes() == b"damaged"


@pytest.mark.usefixtures("often")
def test_a_checkpoint_that_is_damaged_while_the_run_is_at_work_costs_not_the_one_before(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Else a second damage, to the newest of all, would leave none."""
    of, newest = trainer(steps=20), tmp_path / CHECKPOINT
    save = of.save

    def damaged_before(path: Path, keep: str) -> None:
        if of.step in (12, 16):
            path.write_bytes(b"damaged")
        save(path, keep)

    of.save = damaged_before  # type: ignore[method-assign]
    with pytest.raises(Stopped):
        run(signalled(of, signal.SIGTERM, at=16), RunConfig(folder=tmp_path, save_minutes=0))
    assert [read(path)[1]["step"] for path in (newest, tmp_path / BEFORE)] == [16, 4]
    assert [record.getMessage().count("was damaged") for record in caplog.records] == [1, 1]


@pytest.mark.usefixtures("often")
def test_a_sound_checkpoint_of_another_network_is_no_reason_to_fall_back(tmp_path: Path) -> None:
    newest, before = two_checkpoints(tmp_path)
    with pytest.raises(CheckpointError, match="batches of 4"):
        run(trainer(batch_size=4), RunConfig(folder=tmp_path, resume=True))
    assert (tmp_path / CHECKPOINT).read_bytes() == newest
    assert (tmp_path / BEFORE).read_bytes() == before


@pytest.mark.usefixtures("often")
def test_both_checkpoints_lie_where_a_link_leads(tmp_path: Path) -> None:
    (tmp_path / "far").mkdir()
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / CHECKPOINT).symlink_to("../far/file")
    two_checkpoints(tmp_path / "run")
    assert read(tmp_path / "far" / BEFORE)[1]["step"] == 8
    (tmp_path / "far" / "file").write_bytes(b"damaged")
    run(trainer(), RunConfig(folder=tmp_path / "run", resume=True))
    assert (tmp_path / "run" / CHECKPOINT).is_symlink()
    assert read(tmp_path / "far" / "file")[1]["step"] == 12


@pytest.mark.usefixtures("often")
@pytest.mark.parametrize("damage", ["empty", "gone"])
def test_the_one_before_is_found_where_a_link_leads(tmp_path: Path, damage: str) -> None:
    (tmp_path / "far").mkdir()
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / CHECKPOINT).symlink_to("../far/file")
    two_checkpoints(tmp_path / "run")
    (tmp_path / "far" / "file").unlink()
    if damage == "empty":
        (tmp_path / "far" / "file").touch()
    assert "add --resume" in refusal(tmp_path / "run")
    run(trainer(), RunConfig(folder=tmp_path / "run", resume=True))
    assert (tmp_path / "run" / CHECKPOINT).is_symlink()
    assert read(tmp_path / "far" / "file")[1]["step"] == 12


# --- Started again by torchrun -------------------------------------------------------------------


def started(monkeypatch: pytest.MonkeyPatch, by: str, restarts: int = 0) -> None:
    """This process is one that a torchrun has started so many times again."""
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", by)
    monkeypatch.setenv("TORCHELASTIC_RESTART_COUNT", str(restarts))


def died(folder: Path, after: int) -> None:
    """A run that an error has ended after so many steps."""
    broken = trainer()
    update = broken._update

    def breaking() -> TrainState:
        if broken.step == after:
            raise RuntimeError("the GPU is gone")
        return update()

    broken._update = breaking  # type: ignore[method-assign]
    with pytest.raises(RuntimeError, match="gone"):
        run(broken, RunConfig(folder=folder, save_minutes=0 if after > 8 else 100))


@pytest.mark.usefixtures("often")
@pytest.mark.parametrize(("after", "saved"), [(2, False), (6, False), (10, True)])
def test_a_restart_goes_on_or_begins_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, after: int, saved: bool
) -> None:
    started(monkeypatch, "one")
    died(tmp_path, after)
    assert (tmp_path / METRICS).exists() == (after > 4)
    started(monkeypatch, "one", restarts=1)
    config = after_restart(RunConfig(folder=tmp_path))
    assert config.resume == saved
    run(trainer(), config)
    assert [line["step"] for line in lines_of(tmp_path)] == [4, 8, 12]


@pytest.mark.usefixtures("often")
@pytest.mark.parametrize("after", [6, 10])
@pytest.mark.parametrize("other", ["id", "process", "no torchrun"])
def test_a_restart_leaves_the_run_of_another_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, after: int, other: str
) -> None:
    if other != "no torchrun":
        started(monkeypatch, "one")
    died(tmp_path, after)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()}
    if other == "process":  # two may be given the same id
        monkeypatch.setattr(os, "getppid", lambda: 1)
    started(monkeypatch, "two" if other == "id" else "one", restarts=1)
    config = after_restart(RunConfig(folder=tmp_path))
    assert not config.resume
    with pytest.raises(TrainingError, match="already holds a run"):
        run(trainer(), config)
    assert before == {p.name: p.read_bytes() for p in tmp_path.iterdir() if p.is_file()}


@pytest.mark.usefixtures("often")
def test_a_restart_goes_on_where_the_checkpoint_before_alone_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started(monkeypatch, "one")
    died(tmp_path, 10)
    (tmp_path / CHECKPOINT).unlink()  # a kill between the two renamings
    started(monkeypatch, "one", restarts=1)
    assert after_restart(RunConfig(folder=tmp_path)).resume
    assert [line["step"] for line in lines_of(tmp_path)] == [4, 8]


@pytest.mark.usefixtures("often")
def test_a_restart_deletes_nothing_while_another_run_is_at_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started(monkeypatch, "one")
    died(tmp_path, 6)
    started(monkeypatch, "one", restarts=1)
    with locked(tmp_path), pytest.raises(TrainingError, match="another run is writing into"):
        after_restart(RunConfig(folder=tmp_path))
    assert [line["step"] for line in lines_of(tmp_path)] == [4]


# --- One run a folder ----------------------------------------------------------------------------


def held_elsewhere(folder: Path) -> str:
    """Whether another process gets the folder's lock, which is killed while it has it."""
    assert finished(apart.start(apart.hold, folder)) == -signal.SIGKILL
    return (folder / "ours").read_text()


def test_a_second_run_in_a_folder_is_refused_and_the_first_one_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused = []

    def second(*_: object) -> torch.Tensor:
        for resume in (False, True):
            for start in (lambda c: run(trainer(), c), check_folder):
                with pytest.raises(TrainingError, match="another run is writing into") as error:
                    start(RunConfig(folder=tmp_path, resume=resume))
                refused.append(str(error.value))
        if len(refused) == 4:  # once is enough: it takes long to start
            assert held_elsewhere(tmp_path) == "False"
        return torch.zeros(64, 1, 8, 8, dtype=torch.uint8)

    monkeypatch.setattr(run_module, "draw", second)
    assert run(trainer(), RunConfig(folder=tmp_path, picture_steps=6)).exists()
    assert len(refused) == 8
    assert not any("\n" in line for line in refused)
    run(trainer(), RunConfig(folder=tmp_path, resume=True, picture_steps=100))


def test_a_run_that_has_ended_since_the_first_look_is_not_overwritten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def after_another(folder: Path) -> AbstractContextManager[bool]:
        (folder / WEIGHTS).write_bytes(b"theirs")
        return locked(folder)

    monkeypatch.setattr(run_module, "locked", after_another)
    with pytest.raises(TrainingError, match="already holds a run"):
        run(trainer(), RunConfig(folder=tmp_path))
    assert (tmp_path / WEIGHTS).read_bytes() == b"theirs"


def test_a_killed_run_leaves_no_lock_behind(tmp_path: Path) -> None:
    assert held_elsewhere(tmp_path) == "True"
    assert (tmp_path / LOCK).exists()
    run(trainer(), RunConfig(folder=tmp_path))


def test_a_system_without_locks_refuses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ddpm_lite.lock.fcntl", None)
    with locked(tmp_path) as first, locked(tmp_path) as second:
        assert first
        assert second
        assert not in_use(tmp_path)


def test_a_file_system_without_locks_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def no_locks(*_: object) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr("fcntl.flock", no_locks)
    run(trainer(), RunConfig(folder=tmp_path))
    assert "let only one process write into this folder" in caplog.text


# --- Numbers that are none -----------------------------------------------------------------------


@pytest.mark.usefixtures("often")
@pytest.mark.parametrize("part", ["weight", "moment", "average"])
@pytest.mark.parametrize("number", [math.nan, math.inf])
def test_weights_that_a_finite_loss_leaves_broken_are_not_saved(
    tmp_path: Path, part: str, number: float
) -> None:
    """Step 8, at whose end a checkpoint is due, goes wrong; the loss of that step was finite."""
    with pytest.raises(Stopped):
        run(signalled(trainer(), signal.SIGTERM, at=5), RunConfig(folder=tmp_path))
    good, broken = (tmp_path / CHECKPOINT).read_bytes(), trainer()
    update = broken._update

    def breaking() -> TrainState:
        state = update()
        if state.step == 8:
            weight = next(iter(broken.net.parameters()))
            moment = broken.optimizer.state[weight]["exp_avg_sq"]
            average = next(iter(broken.average.parameters()))
            chosen = {"weight": weight, "moment": moment, "average": average}[part]
            chosen.detach().view(-1)[0] = number
        return state

    broken._update = breaking  # type: ignore[method-assign]
    with pytest.raises(TrainingError, match=r"at step 8 .*lower --learning-rate.*--resume goes"):
        run(broken, RunConfig(folder=tmp_path, resume=True, save_minutes=0))
    assert (tmp_path / CHECKPOINT).read_bytes() == good
    assert not (tmp_path / BEFORE).exists()


def test_nan_before_the_first_checkpoint_promises_none(tmp_path: Path) -> None:
    broken = trainer()
    broken._loss = lambda x, *rest: torch.full((len(x),), math.nan, requires_grad=True)  # type: ignore[method-assign]
    with pytest.raises(TrainingError, match=r"at step 1: .*; there is no checkpoint yet"):
        run(broken, RunConfig(folder=tmp_path))
    assert not (tmp_path / CHECKPOINT).exists()


def test_nan_stops_before_the_weights_are_touched_and_keeps_the_checkpoint(tmp_path: Path) -> None:
    folder = RunConfig(folder=tmp_path)
    run(trainer(steps=4), folder)
    good = (tmp_path / CHECKPOINT).read_bytes()
    broken = trainer(steps=20)
    broken.resume(tmp_path / CHECKPOINT)
    before = weights(broken)
    broken._loss = lambda x, *rest: torch.full((len(x),), math.nan, requires_grad=True)  # type: ignore[method-assign]
    with pytest.raises(TrainingError, match="lower --learning-rate"):
        run(broken, RunConfig(folder=tmp_path, resume=True))
    assert_same(weights(broken), before)
    assert (tmp_path / CHECKPOINT).read_bytes() == good


# --- Killed --------------------------------------------------------------------------------------


def losses(folder: Path) -> list[tuple[int, float]]:
    lines = (folder / METRICS).read_text().splitlines()
    return [(line["step"], line["loss"]) for line in map(json.loads, lines)]


def wait_for_checkpoint(process: ForkServerProcess, path: Path, old: float) -> bool:
    """Waits until the process has written a newer checkpoint; False if it ended before."""
    while not path.exists() or path.stat().st_mtime <= old:
        if process.exitcode is not None:
            return False
        time.sleep(0.01)
    return True


def finished(process: ForkServerProcess) -> int | None:
    """The status with which it ends, or the negative number of the signal that has ended it."""
    process.join()
    return process.exitcode


def test_run_killed_at_random_moments_ends_as_if_it_had_not_been(tmp_path: Path) -> None:
    assert finished(apart.start(apart.train, tmp_path / "through")) == 0
    path, moments, kills = tmp_path / "killed" / CHECKPOINT, random.Random(0), 0
    for _ in range(2):
        process = apart.start(apart.train, tmp_path / "killed")
        written = path.stat().st_mtime if path.exists() else 0.0
        if wait_for_checkpoint(process, path, written):
            time.sleep(moments.uniform(0, 0.3))
            process.kill()
        kills += finished(process) == -signal.SIGKILL
    assert kills >= 1
    assert finished(apart.start(apart.train, tmp_path / "killed")) == 0
    assert losses(tmp_path / "killed") == losses(tmp_path / "through")
    assert_same(read(path)[0], read(tmp_path / "through" / CHECKPOINT)[0])
    assert not list((tmp_path / "killed").glob(".*.tmp"))
