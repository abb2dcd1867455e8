"""What can be asked of the product: each validates, writes what is wanted, and wakes the reconciler."""
