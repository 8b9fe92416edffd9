"""AWS's APIs with the standard library alone, for code that has to be there before boto3 would be.

Importing boto3 and making a client take a quarter of a second of a cold start; a worker that leaves a record, and the
router on its way to a function, need a signature and a connection.
"""
