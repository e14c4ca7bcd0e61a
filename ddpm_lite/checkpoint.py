"""Checkpoints: one .safetensors file for tensors and, in its header, one JSON text for the rest.

No pickle: reading a file that somebody else made cannot run their code. The header holds a SHA-256
of the text and of each tensor too, so that a byte that a disk has changed is noticed.
"""

import contextlib
import hashlib
import json
import logging
import os
import stat
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

FORMAT = "ddpm_lite/1"
"""Written into every file; a file without it is refused."""


LARGEST_TEXT = 2**24
"""The most bytes of a recipe or a configuration; one with 100,000 betas has two million."""

logger = logging.getLogger("ddpm_lite")


class CheckpointError(Exception):
    """A file that cannot be read or written; the text is one line."""


class DamagedError(CheckpointError):
    """A file that is missing, truncated, changed or foreign; an older one may still be good."""


def write(
    path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, Any], keep: str = ""
) -> None:
    """Writes tensors and metadata to `path`: whole, or not at all.

    With `keep` the checkpoint that was there stays beside it under that name, if it is still whole:
    a damaged one must not push out the good one that has the name. Only tensors that are not
    contiguous or not on the CPU are copied. Raises CheckpointError if the file cannot be written.
    """
    text = json.dumps(metadata)
    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    sums = json.dumps({"json": _sum(text.encode()), "tensors": _sums(plain.items())})
    with replacing(path, keep) as temporary:
        save_file(plain, temporary, {"format": FORMAT, "json": text, "sha256": sums})


def _sum(content: Any) -> str:
    return hashlib.sha256(content).hexdigest()


def _sums(tensors: Iterable[tuple[str, Tensor]]) -> dict[str, str]:
    """A SHA-256 of each tensor: of its bytes as they lie in the file, its type and its shape."""
    sums = {}
    for name, tensor in tensors:
        sha = hashlib.sha256(f"{tensor.dtype} {tuple(tensor.shape)}".encode())
        sha.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
        sums[name] = sha.hexdigest()
    return sums


def write_whole(path: Path, content: bytes) -> None:
    """Replaces a file in one step. Raises CheckpointError if it cannot be written."""
    with replacing(path) as temporary:
        temporary.write_bytes(content)


@contextlib.contextmanager
def replacing(path: Path, keep: str = "") -> Iterator[Path]:
    """A file to write, beside `path`, that takes its place in one step when the body is done.

    A full disk, an error or a kill leaves the old file as it was; with `keep` a checkpoint gets
    that name first if it is whole, and a kill right then leaves nothing under the old one. A link
    stays, and what it points to is replaced. Raises CheckpointError if `path` cannot be written.
    """
    place = check_writable(path)
    temporary = _temporary(place)
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        temporary.unlink(missing_ok=True)  # what a kill left, or a link that somebody laid there
        temporary.touch()
        mode = stat.S_IMODE((place if place.exists() else temporary).stat().st_mode)
        yield temporary
        temporary.chmod(mode)  # safetensors makes a file that none but its owner may read
        _sync(temporary)
        if keep and place.exists():
            _keep(place, place.with_name(keep))
        temporary.replace(place)
        _sync_names(place.parent)
    except (OSError, SafetensorError) as error:
        raise _not_written(path, error) from None
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def _keep(place: Path, before: Path) -> None:
    """Gives a checkpoint the name of the one before, unless it has been damaged since."""
    if is_whole(place):
        place.replace(before)
    else:
        logger.warning("%s: was damaged after it had been written; is replaced and not kept", place)


def _temporary(place: Path) -> Path:
    return place.with_name(f".{place.name}.tmp")


def _not_written(path: Path, error: Exception) -> CheckpointError:
    return CheckpointError(
        f"{path}: cannot be written ({_reason(error)}); free some space or choose another "
        "folder; what was there is still there"
    )


@contextlib.contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """A folder to fill, beside `path`, that takes its place in one step when the body is done.

    An error in the body leaves nothing. Raises CheckpointError as `check_new` does, and if the
    folder cannot be written.
    """
    place = check_new(path)
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=place.parent, prefix=f".{place.name}.") as around:
            folder = Path(around) / place.name
            folder.mkdir()
            yield folder
            for file in folder.rglob("*"):
                if file.is_file():
                    file.chmod(stat.S_IMODE(folder.stat().st_mode) & 0o666)  # see `replacing`
                    _sync(file)
            folder.replace(place)
        _sync_names(place.parent)
    except (OSError, SafetensorError) as error:
        raise _not_written(path, error) from None


def check_new(path: Path) -> Path:
    """Where a new file or folder of this name would lie, with links followed.

    Raises CheckpointError if something is there, but for an empty folder.
    """
    place = Path(os.path.realpath(path))
    if place.is_dir() and not any(place.iterdir()):
        return place
    if os.path.lexists(place):
        raise CheckpointError(f"{path}: is there already, and is not replaced; choose another name")
    return place


def _sync(path: Path) -> None:
    """Waits until a file's content is on the disk."""
    with path.open("rb+") as file:
        os.fsync(file.fileno())


def _sync_names(folder: Path) -> None:
    """Waits until a folder's names are on the disk, where the system can.

    Else a power cut may bring the old file back, whole.
    """
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def check_writable(path: Path) -> Path:
    """Where a file of this name would lie, with links followed.

    Changes nothing, so that a long computation can ask before it starts. Raises CheckpointError if
    something else than a file is there, if its name is too long, or if the file or its folder may
    not be written: a file is replaced, which its folder must allow.
    """
    place = Path(os.path.realpath(path))
    folder = next(parent for parent in place.parents if os.path.lexists(parent))
    reason = ""
    if os.path.lexists(place) and not place.is_file():
        reason = "a folder" if place.is_dir() else "a device, a pipe or a ring of links"
        reason = f"there is {reason}, which is not replaced"
    elif not folder.is_dir():
        reason = f"{folder} is not a folder"
    elif said := _said_of(_temporary(place)):
        reason = said
    elif any(
        not os.access(path, mode)
        for path, mode in ((folder, os.W_OK | os.X_OK), (place, os.W_OK))
        if path.exists()
    ):
        reason = "permission denied"
    if reason:
        raise CheckpointError(f"{path}: cannot be written ({reason}); choose another name")
    return place


def _said_of(path: Path) -> str:
    """What the system has against a name, such as its length; "" where it has nothing."""
    try:
        path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return ""
    except OSError as error:
        return _reason(error)
    return ""


def _reason(error: Exception) -> str:
    """An error on one line."""
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return " ".join(text.split()) or type(error).__name__


def read_text(path: Path, most: int = LARGEST_TEXT) -> str:
    """The text of a small file, in UTF-8, of at most so many bytes.

    Raises OSError if it cannot be read, and ValueError if it is no file, no text, or beyond what
    any such file is.
    """
    if path.exists() and not path.is_file():  # a pipe would be waited for
        raise ValueError("no file")
    with path.open("rb") as file:
        content = file.read(most + 1)
    if len(content) > most:
        raise ValueError("too large")
    return content.decode()


def read(path: Path, only: str = "") -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The tensors whose names begin with `only`, and the metadata.

    What is read is compared with its SHA-256; files from before there were any are taken as they
    are. Raises DamagedError if the file is missing, truncated, changed or not one of ours, and
    CheckpointError if the system does not let it be read.
    """
    tensors, header = read_tensors(path, only)
    if header.get("format") != FORMAT:
        raise DamagedError(f"{path}: a safetensors file, but not a checkpoint of ddpm_lite")
    if not _unchanged(tensors.items(), header, only):
        raise DamagedError(f"{path}: damaged (some of its bytes are not those that were written)")
    return tensors, _metadata(path, header)


def read_tensors(path: Path, only: str = "") -> tuple[dict[str, Tensor], dict[str, str]]:
    """The tensors of any safetensors file whose names begin with `only`, and its header's texts.

    Raises DamagedError if the file is missing, truncated, or of another kind, and CheckpointError
    if the system does not let it be read.
    """
    if not path.is_file():  # a pipe would be waited for
        if path.exists():
            raise CheckpointError(f"{path}: not a readable checkpoint (no file)")
        raise DamagedError(f"{path}: not a readable checkpoint (no such file)")
    try:
        path.open("rb").close()  # safetensors does not tell what is forbidden from what is damaged
        with safe_open(str(path), framework="pt") as file:
            header = file.metadata() or {}
            names = [name for name in list(file.keys()) if name.startswith(only)]
            tensors = {name: file.get_tensor(name) for name in names}
    except MemoryError:
        raise
    except Exception as error:  # foreign bytes can break a reader in any way
        if isinstance(error, OSError) and error.strerror:
            raise CheckpointError(f"{path}: not a readable checkpoint ({_reason(error)})") from None
        raise DamagedError(f"{path}: not a readable checkpoint (truncated or foreign)") from None
    return tensors, header


def is_whole(path: Path) -> bool:
    """Whether a file is a checkpoint whose bytes are those that were written, as `read` asks.

    Takes no more memory than its largest tensor.
    """
    try:
        with safe_open(str(path), framework="pt") as file:
            header = file.metadata() or {}
            tensors = ((name, file.get_tensor(name)) for name in list(file.keys()))
            return header.get("format") == FORMAT and _unchanged(tensors, header, "")
    except Exception:  # foreign bytes can break a reader in any way
        return False


def _unchanged(tensors: Iterable[tuple[str, Tensor]], header: Mapping[str, str], only: str) -> bool:
    """Whether tensors and description have the sums that the header holds, if it holds any."""
    if header.keys() <= {"format", "json"}:
        return True
    try:
        sums = json.loads(header["sha256"])
        wanted = {name: v for name, v in sums["tensors"].items() if name.startswith(only)}
        return bool(sums["json"] == _sum(header["json"].encode()) and wanted == _sums(tensors))
    except (AttributeError, KeyError, TypeError, ValueError, RecursionError):
        return False


def _metadata(path: Path, header: Mapping[str, str]) -> dict[str, Any]:
    try:
        metadata: dict[str, Any] = json.loads(header["json"])
        if not _is_sound(metadata):
            raise TypeError
    except (KeyError, TypeError, ValueError, RecursionError):
        raise DamagedError(
            f"{path}: not a readable checkpoint (its description is missing or damaged)"
        ) from None
    return metadata


PARTS: Mapping[str, type] = {
    "step": int,
    "train": dict,
    "earlier": list,
    "start": dict,
    "class_names": list,
    "draw": dict,
    "imported": dict,
}
"""What a description may hold. Who reads its "model" or its "data" looks at these."""


def _is_sound(metadata: Any) -> bool:
    """Whether the parts of a description are what they should be, so that nobody else has to ask.

    `earlier` lists options of training, each with the step until which they were in force.
    """
    if not isinstance(metadata, dict):
        return False
    if any(type(metadata[k]) is not kind for k, kind in PARTS.items() if k in metadata):
        return False
    share = metadata.get("train", {}).get("holdout", 0.0)
    return type(share) in (int, float) and all(map(_is_earlier, metadata.get("earlier", [])))


def _is_earlier(part: Any) -> bool:
    return (
        isinstance(part, dict)
        and type(part.get("until")) is int
        and isinstance(part.get("train"), dict)
    )


def optimizer_tensors(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """The optimizer's moments, named `index.moment`; settings are not stored, they are given."""
    state = optimizer.state_dict()["state"]
    return {f"{i}.{name}": v for i, moments in state.items() for name, v in moments.items()}


def load_optimizer(optimizer: torch.optim.Optimizer, tensors: Mapping[str, Tensor]) -> None:
    """The inverse of `optimizer_tensors`; each moment gets its weight's layout in memory."""
    weights = [p for group in optimizer.param_groups for p in group["params"]]
    state: dict[int, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        index, moment = name.split(".")
        like = weights[int(index)]
        own = torch.empty_like(like if tensor.shape == like.shape else tensor)
        state.setdefault(int(index), {})[moment] = own.copy_(tensor)
    groups = optimizer.state_dict()["param_groups"]
    optimizer.load_state_dict({"state": state, "param_groups": groups})
