"""The item index: Milvus collections and their search, exact search as the reference, filters, merge, recall."""
