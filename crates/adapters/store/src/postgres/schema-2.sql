-- What a resource refers to, by resource: rows of ix_key whose parameters lead to other resources.
CREATE TABLE theriac.ix_ref (
  tn uuid NOT NULL, rid bigint NOT NULL, p integer NOT NULL, v bigint NOT NULL, PRIMARY KEY (tn, rid, p, v)
);
-- The owner copies the rows of all tenants; inside this transaction nobody else sees the wall open.
ALTER TABLE theriac.ix_key NO FORCE ROW LEVEL SECURITY;
INSERT INTO theriac.ix_ref (tn, rid, p, v) SELECT tn, rid, p, v FROM theriac.ix_key WHERE p IN ({links});
ALTER TABLE theriac.ix_key FORCE ROW LEVEL SECURITY;
ALTER TABLE theriac.ix_ref ENABLE ROW LEVEL SECURITY;
ALTER TABLE theriac.ix_ref FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON theriac.ix_ref USING (tn = nullif(current_setting('theriac.tenant', true), '')::uuid);
GRANT SELECT, INSERT, UPDATE, DELETE ON theriac.ix_ref TO {app};
