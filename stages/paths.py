"""Every path that the stages read or write, relative to the project's folder."""

from pathlib import Path

PARAMETERS = Path("params.yaml")
RECIPES = Path("recipes")
LOCK = Path("requirements.txt")

CHECKED = Path("data/checked")
RAW = Path("data/raw")
PICTURES = Path("data/pictures")
TRAIN = Path("data/prepared/train.safetensors")
VALIDATION = Path("data/prepared/validation.safetensors")
TEST = Path("data/prepared/test.safetensors")
FILES = Path("data/prepared/files.csv")
TRAINED_ON = [TRAIN, VALIDATION]

CHECKPOINT = Path("checkpoints/train.safetensors")
MODEL = Path("models/model.safetensors")
ORIGIN = Path("models/origin.json")
ONNX = Path("models/model.onnx")
INTEGER_ONNX = Path("models/model.int8.onnx")
CARD = Path("models/README.md")

TRAIN_METRICS = Path("metrics/train.json")
ENVIRONMENT = Path("metrics/environment.json")
TEST_METRICS = Path("metrics/evaluate.json")
EXPORT_METRICS = Path("metrics/export.json")
STUDY = Path("metrics/study.json")

CURVES = Path("plots/learning_curves.csv")
CONFUSION = Path("plots/confusion.csv")
CLASSES = Path("plots/classes.csv")
DATA = Path("plots/data.csv")
RELIABILITY = Path("plots/reliability.csv")
WORST_ERRORS = Path("plots/worst_errors.png")
TRAINING_DATA = Path("plots/training_data.png")
AUGMENTATION = Path("plots/augmentation.png")
