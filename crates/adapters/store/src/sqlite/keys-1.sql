-- One tenant's wrapped keys, apart from its data.
CREATE TABLE secret (name TEXT NOT NULL PRIMARY KEY, wrapped BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE dek (kid BLOB NOT NULL PRIMARY KEY, subject BLOB NOT NULL, wrapped BLOB NOT NULL) WITHOUT ROWID;
CREATE INDEX dek_subject ON dek (subject)
