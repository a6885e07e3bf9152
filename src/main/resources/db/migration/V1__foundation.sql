-- One schema for SQLite and PostgreSQL; ${blob} is BLOB in the one and BYTEA in the other.

-- Hands out version numbers, so that one is never given twice, not even after a deletion.
CREATE TABLE codebook (
  name         VARCHAR(64) NOT NULL PRIMARY KEY,
  last_version INTEGER     NOT NULL
);

CREATE TABLE codebook_version (
  name            VARCHAR(64)  NOT NULL REFERENCES codebook (name),
  version         INTEGER      NOT NULL,
  fingerprint     VARCHAR(64)  NOT NULL,
  dimension       INTEGER      NOT NULL,
  widths          TEXT         NOT NULL,
  normalize       INTEGER      NOT NULL,
  embedding_model TEXT,
  provenance      TEXT         NOT NULL,
  report          TEXT,
  size_bytes      BIGINT       NOT NULL,
  created_at      VARCHAR(32)  NOT NULL,
  PRIMARY KEY (name, version)
);

-- The safetensors file of a version, cut into pieces.
CREATE TABLE codebook_chunk (
  name     VARCHAR(64) NOT NULL,
  version  INTEGER     NOT NULL,
  position INTEGER     NOT NULL,
  bytes    ${blob}     NOT NULL,
  PRIMARY KEY (name, version, position),
  FOREIGN KEY (name, version) REFERENCES codebook_version (name, version) ON DELETE CASCADE
);

-- No cascade: an aliased version cannot be deleted.
CREATE TABLE codebook_alias (
  name    VARCHAR(64) NOT NULL,
  alias   VARCHAR(64) NOT NULL,
  version INTEGER     NOT NULL,
  PRIMARY KEY (name, alias),
  FOREIGN KEY (name, version) REFERENCES codebook_version (name, version)
);

CREATE TABLE training_job (
  id           VARCHAR(36) NOT NULL PRIMARY KEY,
  codebook     VARCHAR(64) NOT NULL,
  state        VARCHAR(16) NOT NULL,
  parameters   TEXT        NOT NULL,
  error_code   VARCHAR(64),
  error_detail TEXT,
  version      INTEGER,
  activated    INTEGER,
  report       TEXT,
  created_at   VARCHAR(32) NOT NULL,
  started_at   VARCHAR(32),
  finished_at  VARCHAR(32)
);

CREATE INDEX training_job_newest ON training_job (created_at, id);

-- One unfinished job per codebook, whoever asks.
CREATE UNIQUE INDEX training_job_unfinished ON training_job (codebook) WHERE state IN ('queued', 'running');
