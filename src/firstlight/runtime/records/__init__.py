"""Where invocations leave their records: a Recorder writes them (``put``), a Store also reads them.

Adapters: ``sqlite.SqliteStore`` on one machine; ``dynamodb.DynamoRecorder`` and ``dynamodb_store.DynamoStore`` on AWS.
``texts`` says what is kept of texts, ``redaction`` takes personal data out of them before they are stored.
"""
