-- The logical schema of the record and the ledger, for many tenants: the tenant first in every key, and
-- row-level security as a second wall. Row ids come from the application: no sequences, triggers or
-- foreign keys. `{app}` is the application's role, which owns nothing.

CREATE SCHEMA IF NOT EXISTS theriac;
-- Wrapped keys lie apart, so that a backup of the record can leave them out.
CREATE SCHEMA IF NOT EXISTS theriac_keys;

-- Where a tenant lies: null for this database, otherwise the name of its own. Kept in the main database.
CREATE TABLE theriac.placement (tn uuid PRIMARY KEY, dedicated text COLLATE "C");

-- Heads: one row per resource ever stored. rid: row; rh: keyed hash of Type/id; ty: type number; fid: id;
-- ver, vid: current version and its row; kind: what made it; kid: data key of the current body, null for the tenant's own;
-- pm: presence bitmap; ix: packed index entries.
CREATE TABLE theriac.res (
  tn uuid NOT NULL, rid bigint NOT NULL, rh bigint NOT NULL, ty integer NOT NULL, fid text COLLATE "C" NOT NULL,
  ver integer NOT NULL, vid bigint NOT NULL, kind smallint NOT NULL, kid bytea,
  pm bigint NOT NULL, ix bytea NOT NULL,
  PRIMARY KEY (tn, rid)
) WITH (fillfactor = 90);
CREATE UNIQUE INDEX res_rh ON theriac.res (tn, rh, fid);
CREATE INDEX res_ty ON theriac.res (tn, ty, rid);
CREATE INDEX res_updated ON theriac.res (tn, ty, vid);
CREATE INDEX res_kid ON theriac.res (tn, kid) WHERE kid IS NOT NULL;

-- Versions, append-only. body is null for a deletion.
CREATE TABLE theriac.ver (
  tn uuid NOT NULL, vid bigint NOT NULL, rid bigint NOT NULL, ver integer NOT NULL, ty integer NOT NULL,
  kind smallint NOT NULL, body bytea,
  PRIMARY KEY (tn, vid)
);
-- Bodies are compressed and sealed already.
ALTER TABLE theriac.ver ALTER COLUMN body SET STORAGE EXTERNAL;
CREATE UNIQUE INDEX ver_rid ON theriac.ver (tn, rid, ver);
CREATE INDEX ver_ty ON theriac.ver (tn, ty, vid);

-- Index entries of living resources. p: parameter; v: keyed hash or folded text; u: unit or scope.
CREATE TABLE theriac.ix_key (
  tn uuid NOT NULL, p integer NOT NULL, v bigint NOT NULL, rid bigint NOT NULL, PRIMARY KEY (tn, p, v, rid)
);
CREATE TABLE theriac.ix_rng (
  tn uuid NOT NULL, p integer NOT NULL, u bigint NOT NULL, lo bigint NOT NULL, hi bigint NOT NULL,
  rid bigint NOT NULL, PRIMARY KEY (tn, p, u, lo, hi, rid)
);
CREATE INDEX ix_rng_hi ON theriac.ix_rng (tn, p, hi, rid) WHERE u = 0;
CREATE INDEX ix_rng_rid ON theriac.ix_rng (tn, rid, p) WHERE u = 0;
CREATE TABLE theriac.ix_txt (
  tn uuid NOT NULL, p integer NOT NULL, v text COLLATE "C" NOT NULL, rid bigint NOT NULL,
  PRIMARY KEY (tn, p, v, rid)
);
CREATE INDEX ix_txt_rid ON theriac.ix_txt (tn, rid, p);
-- Patient compartments by resource; kept when a resource is deleted, so that its history stays in reach.
CREATE TABLE theriac.ix_pat (tn uuid NOT NULL, rid bigint NOT NULL, v bigint NOT NULL, PRIMARY KEY (tn, rid, v));

CREATE TABLE theriac.doc (
  tn uuid NOT NULL, kind smallint NOT NULL, id text COLLATE "C" NOT NULL, version integer NOT NULL,
  updated bigint NOT NULL, expires bigint, body bytea NOT NULL,
  PRIMARY KEY (tn, kind, id)
) WITH (fillfactor = 80);
CREATE TABLE theriac.doc_lookup (
  tn uuid NOT NULL, v bytea NOT NULL, kind smallint NOT NULL, id text COLLATE "C" NOT NULL, PRIMARY KEY (tn, v)
);
CREATE INDEX doc_lookup_doc ON theriac.doc_lookup (tn, kind, id);

-- Criteria being decided: whoever holds the row decides, the next waits. Rows live as long as their
-- transaction.
CREATE TABLE theriac.crit (tn uuid NOT NULL, h bigint NOT NULL, PRIMARY KEY (tn, h));

-- The ledger. log_stage: entries as their writers committed them, never changed; w, n: writer and its
-- counter. log_queue: which of them are not sequenced yet. log_entry: the place of each in its log.
CREATE TABLE theriac.log_stage (
  tn uuid NOT NULL, log smallint NOT NULL, w uuid NOT NULL, n bigint NOT NULL, s bigint,
  leaf bytea NOT NULL, payload bytea NOT NULL,
  PRIMARY KEY (tn, log, w, n)
);
ALTER TABLE theriac.log_stage ALTER COLUMN leaf SET STORAGE EXTERNAL, ALTER COLUMN payload SET STORAGE EXTERNAL;
CREATE TABLE theriac.log_queue (
  tn uuid NOT NULL, log smallint NOT NULL, q bigint NOT NULL, w uuid NOT NULL, n bigint NOT NULL,
  PRIMARY KEY (tn, log, q, w, n)
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000);
CREATE TABLE theriac.log_entry (
  tn uuid NOT NULL, log smallint NOT NULL, idx bigint NOT NULL, w uuid NOT NULL, n bigint NOT NULL,
  PRIMARY KEY (tn, log, idx)
);
CREATE UNIQUE INDEX log_entry_writer ON theriac.log_entry (tn, log, w, n);
CREATE TABLE theriac.log_tile (
  tn uuid NOT NULL, log smallint NOT NULL, level smallint NOT NULL, idx bigint NOT NULL, hashes bytea NOT NULL,
  PRIMARY KEY (tn, log, level, idx)
);
ALTER TABLE theriac.log_tile ALTER COLUMN hashes SET STORAGE EXTERNAL;
CREATE TABLE theriac.log_head (
  tn uuid NOT NULL, log smallint NOT NULL, epoch integer NOT NULL, size bigint NOT NULL, root bytea NOT NULL,
  edge bytea NOT NULL, note text COLLATE "C" NOT NULL,
  PRIMARY KEY (tn, log)
) WITH (fillfactor = 50);
ALTER TABLE theriac.log_head ALTER COLUMN edge SET STORAGE EXTERNAL;
CREATE TABLE theriac.log_checkpoint (
  tn uuid NOT NULL, log smallint NOT NULL, size bigint NOT NULL, note text COLLATE "C" NOT NULL,
  PRIMARY KEY (tn, log, size)
);
CREATE TABLE theriac.log_subject (
  tn uuid NOT NULL, log smallint NOT NULL, s bigint NOT NULL, idx bigint NOT NULL, PRIMARY KEY (tn, log, s, idx)
);
-- How far a process's journal of looks was moved into the staging: (journal, file, offset).
CREATE TABLE theriac.journal_place (
  tn uuid NOT NULL, journal uuid NOT NULL, file bigint NOT NULL, place bigint NOT NULL, PRIMARY KEY (tn, journal)
);

-- Destroyed data keys: they must not open again, whatever a backup of the keys brings back.
CREATE TABLE theriac.erasure (tn uuid NOT NULL, kid bytea NOT NULL, subject bytea NOT NULL, PRIMARY KEY (tn, kid));

CREATE TABLE theriac_keys.secret (
  tn uuid NOT NULL, name text COLLATE "C" NOT NULL, wrapped bytea NOT NULL, PRIMARY KEY (tn, name)
);
CREATE TABLE theriac_keys.dek (
  tn uuid NOT NULL, kid bytea NOT NULL, subject bytea NOT NULL, wrapped bytea NOT NULL, PRIMARY KEY (tn, kid)
);
CREATE UNIQUE INDEX dek_subject ON theriac_keys.dek (tn, subject);

-- The second wall: every table shows and takes rows of the transaction's tenant alone, also to its owner.
DO $$
DECLARE place record;
BEGIN
  FOR place IN SELECT schemaname, tablename FROM pg_tables WHERE schemaname IN ('theriac', 'theriac_keys') LOOP
    EXECUTE format('ALTER TABLE %I.%I ENABLE ROW LEVEL SECURITY', place.schemaname, place.tablename);
    EXECUTE format('ALTER TABLE %I.%I FORCE ROW LEVEL SECURITY', place.schemaname, place.tablename);
    EXECUTE format(
      'CREATE POLICY tenant ON %I.%I USING (tn = nullif(current_setting(''theriac.tenant'', true), '''')::uuid)',
      place.schemaname, place.tablename);
  END LOOP;
END $$;
-- The instance (the nil tenant) sees where every tenant lies, and nothing else of them.
CREATE POLICY instance ON theriac.placement FOR SELECT
  USING (nullif(current_setting('theriac.tenant', true), '')::uuid = '00000000-0000-0000-0000-000000000000');

GRANT USAGE ON SCHEMA theriac, theriac_keys TO {app};
GRANT SELECT, INSERT, UPDATE, DELETE ON
  theriac.res, theriac.ix_key, theriac.ix_rng, theriac.ix_txt, theriac.ix_pat, theriac.doc, theriac.doc_lookup,
  theriac.crit, theriac.journal_place, theriac_keys.dek TO {app};
-- Append-only: nobody but the owner can change or remove a version or an entry.
GRANT SELECT, INSERT ON
  theriac.placement, theriac.ver, theriac.log_stage, theriac.log_entry, theriac.log_tile, theriac.log_checkpoint,
  theriac.log_subject, theriac.erasure, theriac_keys.secret TO {app};
GRANT SELECT, INSERT, DELETE ON theriac.log_queue TO {app};
GRANT SELECT, INSERT, UPDATE ON theriac.log_head TO {app};
