"""The page of results, dvc_plots/index.html, and the plots of the README as SVG."""
