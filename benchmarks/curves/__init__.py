"""How detection breaks or holds, as curves over one quantity at a time."""
