"""Calibration: the crops that an int8 file's ranges come from."""

from edge3d.calibration.calibration_set import (
    CalibrationSet,
    load_calibration_set,
    sample_faces,
    write_calibration_set,
)

__all__ = ["CalibrationSet", "load_calibration_set", "sample_faces", "write_calibration_set"]
