"""Models: fetching of weights, conversion of other formats, and choice of device and precision."""
