"""What happened around the decisions: deployments, incidents, prompt releases, and one timeline of everything."""
