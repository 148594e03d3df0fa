"""Audio in: loading, prosody, features, transcripts."""
