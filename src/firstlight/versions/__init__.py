"""Published versions of endpoints, the aliases that point at them, and what is set per function, as on AWS Lambda."""
