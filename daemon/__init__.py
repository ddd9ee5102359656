"""What acts: the loop, the ledger, the approval page, delivery.  It stands on `drift` and `retrain`."""
