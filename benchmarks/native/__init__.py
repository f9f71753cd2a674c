"""Detection of anomalies that were labelled where they happened, on domains never seen."""
