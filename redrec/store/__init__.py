"""The object store: folders in a bucket that speaks S3, whole or invisible."""
