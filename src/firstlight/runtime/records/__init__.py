"""Where invocations leave their records: a Recorder writes them (``put``), a Store also reads them.

Adapters: ``sqlite.SqliteStore`` on one machine. ``redaction`` takes personal data out of text before it is stored.
"""
