"""What stands before a sink: queue, spool, retries, account."""
