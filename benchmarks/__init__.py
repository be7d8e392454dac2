"""What is measured, against what floor, and the last figures: `python -m benchmarks` (see docs/performance.md)."""
