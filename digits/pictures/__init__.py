"""Picture files of any kind: opened with care, and brought to the form that a network reads."""
