"""Adam under a one-cycle schedule, as plain tensors and a count of steps."""

import math
from collections.abc import Iterable, Mapping

import torch
from torch.optim.adam import adam

from digits.core.config import Training

BETA2, EPS = 0.999, 1e-8
BETA1_HIGH, BETA1_LOW = 0.95, 0.85


class Adam:
    """The state of Adam with L2 regularisation (Kingma and Ba 2015), and its steps.

    `step` takes one with torch's own function; `advance` leaves them to the fast path. The class
    torch.optim.Adam imports torch's compiler on its first use: 150 MB and more than a second.
    """

    def __init__(self, weights: Iterable[torch.Tensor], config: Training, steps: int) -> None:
        """`config` has the learning rates and the weight decay; `steps` is the number in all."""
        self._weights = list(weights)
        self._sizes = [weight.numel() for weight in self._weights]
        self.config, self.steps, self._taken = config, steps, 0
        self.first, self.second = (self._weights[0].new_zeros(sum(self._sizes)) for _ in range(2))
        self.learning_rate = math.nan  # of the last step

    def zero_grad(self) -> None:
        """Forget the gradients."""
        for weight in self._weights:
            weight.grad = None

    @torch.no_grad()
    def step(self) -> None:
        """Move the weights by their gradients."""
        counts = torch.full((len(self._weights),), float(self._taken), device=self.first.device)
        ((rate, beta1),) = self._schedule(1)
        gradients = [weight.grad for weight in self._weights if weight.grad is not None]
        first, second = (
            [part.view_as(weight) for part, weight in zip(moments, self._weights, strict=True)]
            for moments in (self.first.split(self._sizes), self.second.split(self._sizes))
        )
        adam(
            self._weights, gradients, first, second, [], list(counts), fused=True, amsgrad=False,
            beta1=beta1, beta2=BETA2, lr=rate, weight_decay=self.config.weight_decay, eps=EPS,
            maximize=False,
        )  # fmt: skip

    def advance(self, steps: int) -> torch.Tensor:
        """What the next steps are made with: float64 `(steps, 3)`.

        The step size with the first moment's correction, the factor that corrects the root of the
        second, and beta1.
        """
        begin = self._taken + 1
        rows = [
            (rate / (1 - beta1**n), (1 - BETA2**n) ** -0.5, beta1)
            for n, (rate, beta1) in enumerate(self._schedule(steps), start=begin)
        ]
        return torch.tensor(rows, dtype=torch.float64)

    def _schedule(self, steps: int) -> list[tuple[float, float]]:
        """The learning rate and beta1 of the next steps, which now count as taken."""
        begin, self._taken = self._taken, self._taken + steps
        rows = [one_cycle(step, self.steps, self.config) for step in range(begin, self._taken)]
        self.learning_rate = rows[-1][0]
        return rows

    def state(self) -> dict[str, torch.Tensor]:
        """Everything that steps change besides the weights, by name; the tensors are not copies."""
        return {"first": self.first, "second": self.second, "taken": torch.tensor(self._taken)}

    def load_state(self, state: Mapping[str, torch.Tensor]) -> None:
        """Continue from what `state` returned."""
        self.first.copy_(state["first"])
        self.second.copy_(state["second"])
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
