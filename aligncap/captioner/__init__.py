"""The captioner: speech adapter, LLM, packing of sequences, decoding and checkpoints."""
