"""Parts of bench_score.py: rivals in a process of their own, memory, the stream of single rows."""
