"""Networks: students, teachers, their checkpoints, inference. Needs PyTorch."""
