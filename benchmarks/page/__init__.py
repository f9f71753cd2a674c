"""The page of results: sections written from the files that the benchmarks save."""
