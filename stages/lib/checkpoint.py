"""What a training run that was stopped needs to go on, to the bit, from its last whole epoch."""

import hashlib
import platform
import sys
from collections.abc import Iterable
from importlib.metadata import version
from pathlib import Path

import torch
from pydantic import BaseModel, ConfigDict
from tqdm import tqdm

from stages.lib import tensors
from stages.lib.errors import UserError
from stages.lib.model import DigitNet
from stages.lib.optimizer import Adam
from stages.lib.splits import Split

CODE = Path(__file__).parents[1]  # all of the package stages: more than a run depends on, not less
PACKAGES = ["numba", "numpy", "torch"]

Row = dict[str, int | float | None]


class CheckpointHeader(BaseModel):
    """The header of a checkpoint: the run that it belongs to, and a row for each epoch done."""

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="constants")

    key: str
    history: list[Row]


class Checkpoint:
    """A file that holds one run's network, optimizer, generator and history.

    It belongs to the run whose `key` it carries, and no other run goes on from it.
    """

    def __init__(self, path: Path, key: str) -> None:
        """`key` is that of `key_of`."""
        self.path, self._key = path, key

    def save(
        self, network: DigitNet, optimizer: Adam, generator: torch.Generator, history: list[Row]
    ) -> None:
        """Write the state after the last epoch of `history`."""
        state = state_of(network, optimizer, generator)
        tensors.save(self.path, state, CheckpointHeader(key=self._key, history=history))

    def restore(self, network: DigitNet, optimizer: Adam, generator: torch.Generator) -> list[Row]:
        """Put all three into the state that `save` found them in; returns the history.

        Without a file, or with one that is damaged or another run's, nothing is touched and
        there is no history. A line on stderr says what was done.
        """
        if not self.path.is_file():
            return []
        try:
            state, header = tensors.load(self.path, CheckpointHeader)
        except UserError:
            return self._refuse("is damaged")
        if header.key != self._key:
            return self._refuse("is of other parameters, data, code or device")
        history, done = header.history, len(header.history)
        epochs, steps = optimizer.chosen.epochs, optimizer.steps
        if not (
            _kinds(state) == _kinds(state_of(network, optimizer, generator))
            and all(tensor.isfinite().all() for tensor in state.values())
            and [row.get("epoch") for row in history] == list(range(1, done + 1))
            and 0 < done <= epochs
            and int(state["optimizer.taken"]) * epochs == steps * done
        ):
            return self._refuse("is damaged")
        try:
            generator.set_state(state["generator"])  # first: torch alone knows which bytes are one
        except RuntimeError:
            return self._refuse("is damaged")
        network.load_state_dict(_part(state, "network."))
        optimizer.load_state(_part(state, "optimizer."))
        _say(f"resuming after epoch {done} ({self.path})")
        return history

    def remove(self) -> None:
        """Delete the file, if there is one."""
        self.path.unlink(missing_ok=True)

    def _refuse(self, problem: str) -> list[Row]:
        _say(f"{self.path} {problem}; training starts anew")
        return []


def key_of(parameters: Iterable[BaseModel], splits: Iterable[Split], device: torch.device) -> str:
    """A sha256 of everything that determines a run: what it is given, code, versions, device."""
    found = hashlib.sha256(f"{platform.python_version()} {platform.machine()}".encode())
    found.update(f"\n{device.type}".encode())
    for package in PACKAGES:
        found.update(f"\n{package} {version(package)}".encode())
    for section in parameters:
        found.update(f"\n{section.model_dump_json()}".encode())
    for split in splits:
        content = {"images": split.images.cpu(), "labels": split.labels.cpu()}
        found.update(tensors.digest(content, split.normalisation).encode())
    for path in sorted(CODE.rglob("*.py")):
        code = path.read_bytes()
        found.update(f"\n{path.relative_to(CODE)} {len(code)}\n".encode() + code)
    return found.hexdigest()


def bytes_needed(parameters: int, epochs: int) -> int:
    """Room on the disk for a run: its model, two checkpoints, old and new, and its curves.

    A model holds one float32 for each parameter, a checkpoint three; BatchNorm's statistics,
    headers and rows come on top.
    """
    return 10 * 4 * parameters + 2**10 * epochs + 2**20


def state_of(
    network: DigitNet, optimizer: Adam, generator: torch.Generator
) -> dict[str, torch.Tensor]:
    """What an epoch changes, by name."""
    state = {f"network.{name}": tensor for name, tensor in network.state_dict().items()}
    state |= {f"optimizer.{name}": tensor for name, tensor in optimizer.state().items()}
    return state | {"generator": generator.get_state()}


def _kinds(state: dict[str, torch.Tensor]) -> dict[str, tuple[torch.dtype, torch.Size]]:
    return {name: (tensor.dtype, tensor.shape) for name, tensor in state.items()}


def _part(state: dict[str, torch.Tensor], prefix: str) -> dict[str, torch.Tensor]:
    return {
        name.removeprefix(prefix): tensor
        for name, tensor in state.items()
        if name.startswith(prefix)
    }


def _say(line: str) -> None:
    tqdm.write(f"train: {line}", file=sys.stderr)
