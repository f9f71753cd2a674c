"""Detection quality on domains never seen: data sets, protocol, rivals, runs."""
