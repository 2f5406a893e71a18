"""The networks that can be trained, by name."""

from __future__ import annotations

from torch import nn

from edge3d.train.students import STUDENT_WIDTHS, make_student
from edge3d.train.teachers import ResNet50

TEACHER = "teacher"


def make_network(name: str, outputs: int) -> nn.Module:
    """Return a student or the teacher by name, with random weights.

    Args:
        name: of a student, or `teacher`. outputs: number of parameters, P.

    Raises:
        ValueError: no such network.
    """
    if name == TEACHER:
        return ResNet50(outputs)
    if name not in STUDENT_WIDTHS:
        known = ", ".join([*STUDENT_WIDTHS, TEACHER])
        raise ValueError(f"unknown network '{name}'; known: {known}")
    return make_student(name, outputs)
