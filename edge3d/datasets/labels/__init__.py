"""Making labels: transfer between face models, pseudo-labels, mirror images."""
