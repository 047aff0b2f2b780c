"""Keys, signatures, sealed boxes and Merkle trees; the only importer of `cryptography`."""
