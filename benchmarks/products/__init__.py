"""MVTec AD and VisA with a few references of each product: features, methods, runs."""
