"""Constants of 3DDFA's camera, in which 300W-LP, AFLW2000-3D and 2DASL state their parameters."""

from __future__ import annotations

# 3DDFA's crop coordinates are `x_image = x * (ex - sx) / 120 + sx` with 1-based image pixels; a
# crop whose pixel areas fill the box has its pixel centres half a pixel before that.
PROTOCOL_OFFSET_PX = 0.5
