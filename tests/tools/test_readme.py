"""Numbers in the README are those of the files that commands have written."""

import json
from pathlib import Path
from typing import Any

import speed_table

from ddpm_lite.checkpoint import read
from ddpm_lite.shipped import MODELS
from ddpm_lite.unet import PRESETS

ROOT = Path(__file__).parents[2]
README = " ".join((ROOT / "README.md").read_text().split())


def load(name: str) -> Any:
    return json.loads((ROOT / name).read_text())


def test_the_shipped_models_numbers() -> None:
    saved = load("ddpm_lite/assets/mnist_evaluation.json")
    drawn = saved["sampler"], saved["steps"], saved["eta"], saved["guidance_scale"]
    assert drawn == ("ddim", 50, 1.0, 1.0)
    assert saved["likelihood_variance"] == "learned"
    measured = load("book/data/sampling_quality.json")
    key = ("DPM-Solver++(2M)", 20, 1.0)
    (row,) = [r for r in measured["quality"] if (r["sampler"], r["steps"], r["scale"]) == key]
    assert (
        f"without guidance Frechet {saved['frechet']:.1f} (floor {saved['frechet_floor']:.2f}) at "
        f"n = {saved['n']:,} with DDIM in 50 steps and eta 1, {100 * saved['label_accuracy']:.1f}"
        f" % read as what was asked for; with DPM-Solver++ in 20 steps {row['frechet']:.1f} (floor "
        f"{measured['floor']['frechet']:.1f}) at n = {measured['n']:,}; "
        f"{saved['bits_per_dim']:.2f} ± {saved['bits_per_dim_stderr']:.2f} bits/dim on "
        f"{saved['likelihood_images']:,} test images"
    ) in README


def test_the_minutes_of_the_shipped_model() -> None:
    lines = (ROOT / "ddpm_lite/assets/mnist_metrics.jsonl").read_text().splitlines()
    records = [json.loads(line) for line in lines]
    ends = [0, *(record["step"] for record in records)]
    seconds = sum(
        64 * (end - start) / record["images_per_second"]
        for start, end, record in zip(ends, ends[1:], records, strict=False)
    )
    assert f"partly beside other work | {seconds / 60:.0f} |" in README


def test_the_run_of_coloured_digits() -> None:
    run = load("book/data/coloured_mnist_run.json")
    assert f"shared with other work | {run['seconds'] / 60:.0f} |" in README
    plain, guided = run["evaluations"]
    assert (plain["guidance_scale"], guided["guidance_scale"]) == (1.0, 1.3)
    assert (
        f"{100 * plain['label_accuracy']:.1f} % of n = {plain['n']:,} read as what was asked for "
        f"without guidance, {100 * guided['label_accuracy']:.1f} % with guidance 1.3"
    ) in README
    distances = f"Frechet {plain['frechet']:.0f} and {guided['frechet']:.0f}"
    assert f"{distances} (floor {plain['frechet_floor']:.1f})" in README
    bound = f"{plain['bits_per_dim']:.2f} ± {plain['bits_per_dim_stderr']:.2f} bits/dim"
    assert f"{bound} on {plain['likelihood_images']} test images" in README


def test_the_colour_models_numbers() -> None:
    saved = load("ddpm_lite/assets/cifar10_evaluation.json")
    plain, chosen = saved["plain"], saved["chosen"]
    assert chosen["guidance_scale"] == saved["guidance"] != plain["guidance_scale"] == 1.0
    assert (plain["sampler"], plain["steps"]) == (chosen["sampler"], chosen["steps"])
    assert (plain["sampler"], plain["steps"]) == ("dpm_solver", 20)
    assert (
        f"with AMX after it, shared with other work | {60 * saved['training']['hours']:.0f} |"
        in README
    )
    assert (
        f"{100 * chosen['label_accuracy']:.1f} % of n = {chosen['n']:,} taken for what was asked "
        f"for with guidance {saved['guidance']:g}, {100 * plain['label_accuracy']:.1f} % without"
    ) in README
    distances = f"Frechet {chosen['frechet']:.2f} and {plain['frechet']:.2f}"
    assert f"{distances} (floor {plain['frechet_floor']:.2f})" in README
    assert (
        f"precision {chosen['knn_precision']:.2f} and {plain['knn_precision']:.2f}, recall "
        f"{chosen['knn_recall']:.2f} and {plain['knn_recall']:.2f}"
    ) in README
    assert (
        f"{plain['bits_per_dim']:.2f} ± {plain['bits_per_dim_stderr']:.2f} bits/dim on "
        f"{plain['likelihood_images']:,} test pictures"
    ) in README
    assert f"{100 * saved['classifier_accuracy']:.0f} % of the real test pictures" in README


def test_what_simple_coders_need() -> None:
    coders = load("book/data/yardsticks.json")["coders"]
    table = coders["a table over four neighbours"]
    assert (
        f"`gzip` needs {coders['gzip']:.2f}, and a table over four neighbours {table:.2f}" in README
    )


def test_the_speed_tables_are_those_of_the_results() -> None:
    results = speed_table.load()
    text = speed_table.README.read_text()
    assert speed_table.between(text, speed_table.tables(results)) == text
    assert (speed_table.RESULTS / "README.md").read_text() == speed_table.report(results)


def test_what_is_inside_names_every_module_and_every_preset() -> None:
    _, _, after = README.partition("## What is inside")
    table = after.partition("## ")[0]
    modules = {path.name for path in (ROOT / "ddpm_lite").glob("*.py")} - {"__init__.py"}
    assert {name for name in modules if f"`{name}`" not in table} == set()
    assert {name for name in PRESETS if f"`{name}`" not in table} == set()


def test_why_no_shipped_model_can_be_exported_to_diffusers() -> None:
    assert "all of them take a label, which `DDPMPipeline` does not pass on, and fold 2x2" in README
    for path in MODELS.values():
        unet = read(path, only="nothing")[1]["model"]["unet"]
        assert (unet["classes"] > 0, unet["patch"]) == (True, 2)


def test_the_makers_of_the_data_that_something_shipped_has_seen_are_named() -> None:
    """MNIST lies in the package; of CIFAR-10 a classifier does that was trained on it."""
    for name in ("README.md", "LICENSE", "ddpm_lite/assets/README.md"):
        text = " ".join((ROOT / name).read_text().split())
        assert "Yann LeCun and Corinna Cortes" in text
        assert 'Alex Krizhevsky, "Learning Multiple Layers of Features from Tiny Images"' in text


def test_how_many_changed_formulas_were_noticed() -> None:
    run = load("book/mutants.json")
    left, lost = run["mutants"] - run["caught"], run["premise_mutants"] - run["premise_caught"]
    assert f"{run['caught']:,} of {run['mutants']:,}, and the other two are equal" in README
    assert f"of {run['premise_mutants']:,} changes {run['premise_caught']:,} made" in README
    assert (left, lost) == (2, 10)  # as the sentences say
