"""Export targets, one module or package each."""
