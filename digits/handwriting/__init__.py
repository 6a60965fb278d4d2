"""From a picture that somebody brings to images as MNIST has them."""
