"""Whether the model is one of the current parameters and data.

DVC itself cannot tell: `dvc commit` and `dvc exp save` write down whatever is there.
"""

from collections.abc import Iterator

from digits.core import config
from digits.core.errors import UserError
from digits.network import model_origin
from stages import paths


def foreign_model() -> Iterator[str]:
    """A line if the model was trained with other parameters or data; none if there is no model."""
    if all(path.is_file() for path in (paths.MODEL, *paths.TRAINED_ON)):
        parameters = config.read(paths.PARAMETERS)
        sections = [parameters.model, parameters.augment, parameters.train]
        try:
            model_origin.check(paths.ORIGIN, paths.MODEL, sections, paths.TRAINED_ON)
        except UserError as error:
            yield str(error)
