"""Everything that a stopped run needs to resume, to the bit, after its last whole epoch."""

import hashlib
import platform
import sys
from collections.abc import Iterable
from importlib.metadata import version
from pathlib import Path

import torch
from pydantic import BaseModel, ConfigDict
from tqdm import tqdm

from digits.core import tensor_file
from digits.core.errors import UserError
from digits.core.split import Split
from digits.network.digitnet import DigitNet
from digits.training.optimizer import Adam

LIBRARY = Path(__file__).parents[1]
CODE = [LIBRARY / name for name in ("core", "network", "training")]
PACKAGES = ["llvmlite", "numba", "numpy", "torch"]

Epoch = dict[str, int | float | None]


class CheckpointHeader(BaseModel):
    """The header of a checkpoint: the run that it belongs to, and a row for each finished epoch."""

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="constants")

    key: str
    history: list[Epoch]


class Checkpoint:
    """A file that holds one run's network, optimizer, generator and history.

    Only the run with the same `key` resumes from it. It stays when training is done, because what
    comes after can fail too; the next run with another key replaces it.
    """

    def __init__(self, path: Path, key: str) -> None:
        """`key` comes from `key_of`."""
        self.path, self._key = path, key

    def save(
        self, network: DigitNet, optimizer: Adam, rng: torch.Generator, history: list[Epoch]
    ) -> None:
        """Write the state after the last epoch of `history`."""
        state = state_of(network, optimizer, rng)
        tensor_file.save(self.path, state, CheckpointHeader(key=self._key, history=history))

    def restore(self, network: DigitNet, optimizer: Adam, rng: torch.Generator) -> list[Epoch]:
        """Put all three into the state that `save` wrote; returns the history.

        Without a file, or with a damaged one or another run's, nothing is touched and the history
        is empty. A line on stderr says which.
        """
        if not self.path.is_file():
            return []
        try:
            state, header = tensor_file.load(self.path, CheckpointHeader)
        except tensor_file.HeaderError:
            return self._refuse("is damaged, or of another version of this project")
        except UserError:
            return self._refuse("is damaged")
        if header.key != self._key:
            return self._refuse("belongs to other parameters, data, code or device")
        history, done = header.history, len(header.history)
        epochs, steps = optimizer.config.epochs, optimizer.steps
        if not (
            _kinds(state) == _kinds(state_of(network, optimizer, rng))
            and all(tensor.isfinite().all() for tensor in state.values())
            and [row.get("epoch") for row in history] == list(range(1, done + 1))
            and 0 < done <= epochs
            and int(state["optimizer.taken"]) * epochs == steps * done
        ):
            return self._refuse("is damaged")
        try:  # first: only torch can tell whether these bytes are valid
            rng.set_state(state["generator"])
        except RuntimeError:
            return self._refuse("is damaged")
        network.load_state_dict(_part(state, "network."))
        optimizer.load_state(_part(state, "optimizer."))
        rest = "" if done < epochs else "; all are done, so nothing is left to train"
        _report(f"resuming after epoch {done} ({self.path}){rest}")
        return history

    def _refuse(self, problem: str) -> list[Epoch]:
        _report(f"{self.path} {problem}; training starts from the beginning")
        return []


def key_of(sections: Iterable[BaseModel], splits: Iterable[Split], device: torch.device) -> str:
    """A sha256 of everything that determines a run: parameters, data, code, versions, device."""
    digest = hashlib.sha256(f"{platform.python_version()} {platform.machine()}".encode())
    digest.update(f"\n{device.type} {torch.backends.cpu.get_cpu_capability()}".encode())
    for package in PACKAGES:
        digest.update(f"\n{package} {version(package)}".encode())
    for section in sections:
        digest.update(f"\n{section.model_dump_json()}".encode())
    for split in splits:
        content = {"images": split.images.cpu(), "labels": split.labels.cpu()}
        digest.update(tensor_file.digest(content, split.normalisation).encode())
        digest.update(repr(split.shape).encode())
    for path in sorted(path for folder in CODE for path in folder.rglob("*.py")):
        code = path.read_bytes()
        digest.update(f"\n{path.relative_to(LIBRARY)} {len(code)}\n".encode() + code)
    return digest.hexdigest()


def state_of(network: DigitNet, optimizer: Adam, rng: torch.Generator) -> dict[str, torch.Tensor]:
    """Everything that an epoch changes, by name."""
    state = {f"network.{name}": tensor for name, tensor in network.state_dict().items()}
    state |= {f"optimizer.{name}": tensor for name, tensor in optimizer.state().items()}
    return state | {"generator": rng.get_state()}


def _kinds(state: dict[str, torch.Tensor]) -> dict[str, tuple[torch.dtype, torch.Size]]:
    return {name: (tensor.dtype, tensor.shape) for name, tensor in state.items()}


def _part(state: dict[str, torch.Tensor], prefix: str) -> dict[str, torch.Tensor]:
    return {
        name.removeprefix(prefix): tensor
        for name, tensor in state.items()
        if name.startswith(prefix)
    }


def _report(line: str) -> None:
    tqdm.write(f"train: {line}", file=sys.stderr)
