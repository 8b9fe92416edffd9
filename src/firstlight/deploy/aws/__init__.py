"""Everything that speaks to AWS: the only place of deploying that knows boto3, its calls and its errors."""
