"""What is normal for a deployment, what changed, when, and why. See README.md."""
