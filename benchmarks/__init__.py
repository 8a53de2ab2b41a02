"""What DESIGN's section on speed promises, measured against baselines in one run."""
