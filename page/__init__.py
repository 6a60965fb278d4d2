"""All plots on one page that needs no network."""
