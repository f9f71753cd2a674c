"""Known anomalies of some domains, and what they are worth on domains never seen."""
