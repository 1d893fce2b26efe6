"""Our own dialect: what no other API has: receipts, results by task, prices before the work, status."""
