"""Released zoos: a folder each, with weights, calibration, manifest and card."""
