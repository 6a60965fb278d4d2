"""`make verify`: read every byte that this project needs, and name what is damaged or gone."""
