"""Benchmarks of model files: latency, memory, Android."""

from edge3d.bench.latency import bench

__all__ = ["bench"]
