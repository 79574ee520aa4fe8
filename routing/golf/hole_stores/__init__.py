"""The places hole state can live in, all with the same answers (ADV-33, ADV-34)."""
