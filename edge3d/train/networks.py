"""The networks that can be trained, by name."""

from __future__ import annotations

from torch import nn

from edge3d.train.students import STUDENT_WIDTHS, make_student
from edge3d.train.teachers import TEACHER_WIDTHS, make_teacher

WIDTHS = STUDENT_WIDTHS | TEACHER_WIDTHS


def is_teacher(name: str) -> bool:
    """Tell whether a network is a teacher, which sees 2D landmarks beside the picture."""
    return name in TEACHER_WIDTHS


def make_network(name: str, outputs: int) -> nn.Module:
    """Return a student or a teacher by name, with random weights.

    Args:
        name: of a student or a teacher. outputs: number of parameters, P.

    Raises:
        ValueError: no such network.
    """
    if name not in WIDTHS:
        raise ValueError(f"unknown network '{name}'; known: {', '.join(WIDTHS)}")
    return make_teacher(name, outputs) if is_teacher(name) else make_student(name, outputs)
