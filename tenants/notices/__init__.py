"""The bell: what happened since a member looked last, of what they may see or are asked to do."""
