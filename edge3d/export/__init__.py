"""Export: a trained checkpoint into one self-describing file for each target.

result = export_model("student.safetensors", "tflite", "fp32", "exported")
result.path, result.parity.landmark_px_max
"""

from edge3d.export.exporter import ExportRequest, ExportResult, export_model
from edge3d.export.registry import TARGETS, Target

__all__ = ["TARGETS", "ExportRequest", "ExportResult", "Target", "export_model"]
