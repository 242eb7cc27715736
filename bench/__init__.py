"""Measurements. Run `make bench`; it writes bench/RESULTS.md."""
