"""One table: each formula, the line of the package that runs it, and how both give numbers.

The page "From formula to code" is drawn from it, the API reference takes its links from it, and
`tests/book/test_code.py` works out each row twice: by the formula, read from its chapter and
evaluated with 40 digits, and by the code, in float64. So none of the three can differ from another.

The rows stand in a file for each module of the package; what a row is, in `book_formulas_row`.
"""

from collections.abc import Mapping

from book_formulas_diffusion import DIFFUSION
from book_formulas_evaluate import EVALUATE
from book_formulas_frechet import FRECHET
from book_formulas_row import Row
from book_formulas_sample import SAMPLE
from book_formulas_schedule import SCHEDULE

ROWS: Mapping[str, list[Row]] = {
    "schedule": SCHEDULE,
    "diffusion": DIFFUSION,
    "sample": SAMPLE,
    "evaluate": EVALUATE,
    "frechet": FRECHET,
}
"""The table, by module."""

WITHOUT: Mapping[str, str] = {
    "schedule.NoiseSchedule.T": "the length of a table",
    "schedule.NoiseSchedule.at": "looks a value up",
    "schedule.check_steps": "refuses a number",
    "schedule.quadratic": "a schedule of the literature; no chapter derives it",
    "schedule.sigmoid": "a schedule of the literature; no chapter derives it",
    "schedule.cosine_fine": "`cosine` with another offset",
    "diffusion.check_name": "refuses a word",
    "diffusion.check_numbers": "refuses numbers",
    "diffusion.Gaussian": "a pair of tensors",
    "diffusion.Prediction": "a pair of tensors",
    "sample.State": "what a sampler yields",
    "sample.initial_noise": r"draws from $\mathcal N(0, I)$",
    "sample.timesteps": "rounds evenly spaced times",
    "sample.last": "runs a sampler to its end",
    "evaluate.EvaluationError": "an error",
    "evaluate.Likelihood": "what `likelihood` found",
    "evaluate.stretches": "parts the times; they are counted by a test",
    "evaluate.SampleQuality": "what `sample_quality` found",
    "evaluate.sample_quality": "asks a classifier",
    "evaluate.check_inception": "looks for the package of somebody else's network",
    "evaluate.inception_fid": "asks another package",
    "frechet.frechet_floor": "the mean of `floor_draws`",
    "frechet.floor_draws": "draws; that they shrink as $1/n$ is {eq}`eq-eval-mean`",
    "frechet.asked": "counts labels",
}
"""What has no row, and why."""
