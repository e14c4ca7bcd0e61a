"""What a command says that must fail."""

import pytest

from ddpm_lite.cli import main


def fails(arguments: list[str], capsys: pytest.CaptureFixture[str], status: int = 1) -> str:
    """Runs a command that must fail, and returns its one line of complaint."""
    assert main(arguments) == status
    error = capsys.readouterr().err
    lines = [line for line in error.splitlines() if line.startswith("ddpm-lite: ")]
    assert len(lines) == 1
    assert error.endswith(lines[0] + "\n")
    assert "Traceback" not in error
    return lines[0]
