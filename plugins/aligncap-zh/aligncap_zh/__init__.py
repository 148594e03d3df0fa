"""The emotion grammar for Chinese captions, a plugin of AlignCap (entry points `aligncap.parsers`)."""
