"""Unseen surfaces with local defects: data, rivals and the run of bench_surfaces.py."""
