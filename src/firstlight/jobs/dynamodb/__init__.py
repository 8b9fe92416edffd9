"""Jobs in one DynamoDB table: ``DynamoJobs`` keeps them and hands them out, ``create_table`` makes the table."""

from firstlight.jobs.dynamodb.store import DynamoJobs
from firstlight.jobs.dynamodb.table import create_table

__all__ = ["DynamoJobs", "create_table"]
