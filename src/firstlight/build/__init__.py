"""From a model folder to a bundle: resolve, convert, quantise, write."""
