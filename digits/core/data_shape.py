"""The shape of the data, in one place; light to import, so that prediction can do without torch."""

IMAGE_SIZE = 28  # pixels, height and width
CLASSES = 10
