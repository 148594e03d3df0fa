"""``aligncap verify``: every cell of a finished run's tables computed again, and compared with what stands there."""
