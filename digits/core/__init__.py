"""What every stage needs: configuration, splits, files, errors and the entry point."""
