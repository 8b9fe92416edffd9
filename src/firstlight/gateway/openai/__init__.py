"""The OpenAI API over the endpoints: models, chat completions, completions and embeddings, whole and streamed."""
