"""Language models as GGUF files: converted from model folders, taken as they are, or re-packed from older formats."""
