"""People as the organisation's own directory keeps them: SCIM 2.0."""
