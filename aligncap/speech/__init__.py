"""Speech processing: loading of audio, measured prosody and timbre, speech features, and transcripts."""
