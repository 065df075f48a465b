"""The parts of the tiny language model: tokenizer, skills, conversations, training and evaluation."""
