"""Training: data sets, labels, students, losses, the loop. Needs the extra `train`."""
