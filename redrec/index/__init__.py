"""The item index: Milvus collections of a bundle, exact search as their referee, filters, merge and recall."""
