"""Adam under a one-cycle schedule, as plain tensors and a count of steps."""

import math
from collections.abc import Iterable, Mapping

import torch
from torch.optim.adam import adam

from digits.core.config import Training

BETA2, EPS = 0.999, 1e-8
BETA1_HIGH, BETA1_LOW = 0.95, 0.85


class Adam:
    """torch's fused Adam, with the bits of torch.optim.Adam and OneCycleLR.

    The class torch.optim.Adam imports torch's compiler, sympy and triton on its first use: 150 MB
    and more than a second that training does not need.
    """

    def __init__(self, weights: Iterable[torch.Tensor], config: Training, steps: int) -> None:
        """`config` has the learning rates and the weight decay; `steps` is the number in all."""
        self._weights = list(weights)
        self.config, self.steps, self._taken = config, steps, 0
        self._first = [torch.zeros_like(weight) for weight in self._weights]
        self._second = [torch.zeros_like(weight) for weight in self._weights]
        self._counts = [torch.zeros((), device=weight.device) for weight in self._weights]
        self.learning_rate = math.nan  # of the last step

    def zero_grad(self) -> None:
        """Forget the gradients."""
        for weight in self._weights:
            weight.grad = None

    @torch.no_grad()
    def step(self) -> None:
        """Move the weights by their gradients."""
        self.learning_rate, beta1 = one_cycle(self._taken, self.steps, self.config)
        self._taken += 1
        gradients = [weight.grad for weight in self._weights if weight.grad is not None]
        adam(
            self._weights, gradients, self._first, self._second, [], self._counts, fused=True,
            amsgrad=False, beta1=beta1, beta2=BETA2, lr=self.learning_rate,
            weight_decay=self.config.weight_decay, eps=EPS, maximize=False,
        )  # fmt: skip

    def state(self) -> dict[str, torch.Tensor]:
        """Everything that steps change besides the weights, by name; the tensors are not copies."""
        kinds = {"first": self._first, "second": self._second, "count": self._counts}
        state = {f"{kind}.{i}": each for kind, own in kinds.items() for i, each in enumerate(own)}
        return state | {"taken": torch.tensor(self._taken)}

    def load_state(self, state: Mapping[str, torch.Tensor]) -> None:
        """Continue from what `state` returned."""
        for name, own in self.state().items():
            own.copy_(state[name])
        self._taken = int(state["taken"])


def one_cycle(step: int, steps: int, config: Training) -> tuple[float, float]:
    """The learning rate and Adam's first beta of a step, counted from 0, among `steps`.

    The rate rises along a cosine from `max_learning_rate / div_factor` for `pct_start` of the
    steps, then falls to `1 / final_div_factor` of where it began; beta goes the other way (Smith
    and Topin 2018, https://arxiv.org/abs/1708.07120, as in torch's OneCycleLR).
    """
    high = config.max_learning_rate
    low = high / config.div_factor
    top = config.pct_start * steps - 1
    if step <= top:
        share = step / top
        return _cosine(low, high, share), _cosine(BETA1_HIGH, BETA1_LOW, share)
    share = (step - top) / (steps - 1 - top)
    return (
        _cosine(high, low / config.final_div_factor, share),
        _cosine(BETA1_LOW, BETA1_HIGH, share),
    )


def _cosine(start: float, end: float, share: float) -> float:
    return end + (start - end) / 2 * (1 + math.cos(math.pi * share))
