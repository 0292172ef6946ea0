//! Where the record and the ledger are kept: the port, its SQLite and PostgreSQL adapters and their conformance suite.
