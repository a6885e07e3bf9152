-- Jobs of every kind in one table, with all that a restarted service needs to go on with them.

CREATE TABLE job (
  id               VARCHAR(36) NOT NULL PRIMARY KEY,
  kind             VARCHAR(16) NOT NULL,
  codebook         VARCHAR(64) NOT NULL,
  state            VARCHAR(16) NOT NULL,
  -- What the client asked for; a job of an earlier schema version has none and has ended.
  request          TEXT,
  -- All settings in effect, as clients see them.
  parameters       TEXT        NOT NULL,
  -- What opening its source found.
  source           TEXT,
  idempotency_key  VARCHAR(255),
  request_hash     VARCHAR(64),
  cancel_requested INTEGER     NOT NULL DEFAULT 0,
  -- Starts since the last checkpoint.
  attempts         INTEGER     NOT NULL DEFAULT 0,
  error_code       VARCHAR(64),
  error_detail     TEXT,
  version          INTEGER,
  activated        INTEGER,
  result           TEXT,
  created_at       VARCHAR(32) NOT NULL,
  started_at       VARCHAR(32),
  finished_at      VARCHAR(32)
);

INSERT INTO job (id, kind, codebook, state, parameters, error_code, error_detail, version, activated, result, created_at,
                 started_at, finished_at)
SELECT id, 'training', codebook,
       CASE WHEN state IN ('queued', 'running') THEN 'failed' ELSE state END,
       parameters,
       CASE WHEN state IN ('queued', 'running') THEN 'INTERRUPTED' ELSE error_code END,
       CASE WHEN state IN ('queued', 'running') THEN 'the service was updated while the job was queued or running'
            ELSE error_detail END,
       version, activated, report, created_at, started_at,
       CASE WHEN state IN ('queued', 'running') THEN created_at ELSE finished_at END
FROM training_job;

DROP TABLE training_job;

CREATE INDEX job_newest ON job (kind, created_at, id);

-- One unfinished training per codebook, whoever asks.
CREATE UNIQUE INDEX job_training_unfinished ON job (codebook) WHERE kind = 'training' AND state IN ('queued', 'running');

CREATE UNIQUE INDEX job_idempotency ON job (kind, idempotency_key);

-- Where a job can be continued from, cut into pieces.
CREATE TABLE job_checkpoint (
  job_id   VARCHAR(36) NOT NULL REFERENCES job (id) ON DELETE CASCADE,
  position INTEGER     NOT NULL,
  bytes    ${blob}     NOT NULL,
  PRIMARY KEY (job_id, position)
);
