-- What a resource refers to, by resource: rows of ix_key whose parameters lead to other resources.
CREATE TABLE ix_ref (rid INTEGER NOT NULL, p INTEGER NOT NULL, v INTEGER NOT NULL, PRIMARY KEY (rid, p, v)) WITHOUT ROWID;
INSERT INTO ix_ref (rid, p, v) SELECT rid, p, v FROM ix_key WHERE p IN ({links}) ORDER BY rid, p, v
