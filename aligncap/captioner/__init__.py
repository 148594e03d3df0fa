"""The captioner: adapter, LLM, decoding, checkpoints, where weights come from."""
