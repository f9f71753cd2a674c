"""The protocols of Li et al. (2023), one command per data set."""
