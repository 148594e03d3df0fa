"""What people touch: the Python object and the command line."""
