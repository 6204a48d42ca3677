"""The endpoints that clients call, one file each."""
