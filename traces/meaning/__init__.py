"""What decisions mean: embeddings, what is near, people's judgement, and judgements by program."""
