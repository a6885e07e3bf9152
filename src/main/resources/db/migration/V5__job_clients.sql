-- The client that asked for a job, '' if nobody had to say who it is: NULLs would not keep a key from being used twice. An
-- earlier version of the service that still runs beside this one adds jobs without it.
ALTER TABLE job ADD COLUMN client VARCHAR(255) NOT NULL DEFAULT '';

-- Each client has idempotency keys of its own.
CREATE UNIQUE INDEX job_idempotency_client ON job (kind, client, idempotency_key);
DROP INDEX job_idempotency;
