"""Files that mean harm, and the readers that must refuse them."""
