"""What determines a seed's result, as one hash: rows of different hashes are never mixed."""

import hashlib
import json

from stages.lib import model
from stages.lib.parameters import Parameters
from stages.lib.splits import Split
from stages.train import train_recipe


def identity(recipe: Parameters, training: Split, scored: Split) -> str:
    """The first 16 hexadecimal digits of a sha256 over recipe, data and what the code computes.

    The code is hashed by what it does: every epoch of the recipe on three batches with seed 0,
    to the bits of the logits. A package, a processor or an edit that changes bits changes the
    identity; an edit that changes none does not throw days of training away. It takes a second
    or two, on the processor whatever `train.device` says.

    Args:
        recipe: all of it but the seed, the budget and the source of the data.
        training: every image and label of it.
        scored: every image and label of it.
    """
    chosen = recipe.model_dump(
        mode="json",
        exclude={"download": True, "model": {"parameter_budget"}, "train": {"seed"}},
    )
    few = first(training, 2 * recipe.train.batch_size + 2)
    network, _ = train_recipe(with_seed(recipe, 0), few, first(few, 0))
    logits = model.predict(network, few.images, few.normalisation)
    digest = hashlib.sha256(json.dumps(chosen, sort_keys=True).encode())
    for tensor in (training.images, training.labels, scored.images, scored.labels, logits):
        digest.update(tensor.contiguous().numpy().tobytes())
    return digest.hexdigest()[:16]


def first(split: Split, count: int) -> Split:
    """The first `count` images of a split, or all of them if there are fewer."""
    return Split(split.images[:count], split.labels[:count], split.normalisation)


def with_seed(recipe: Parameters, seed: int) -> Parameters:
    """The same recipe with another seed."""
    return recipe.model_copy(update={"train": recipe.train.model_copy(update={"seed": seed})})
