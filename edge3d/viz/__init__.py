"""Drawing: the rasterizer, overlays, HTML reports."""
