"""Data sets: loaders, labels, rendered faces. Needs the extra `train`."""
