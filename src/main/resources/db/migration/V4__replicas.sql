-- The process that works at a job, until when it may (in milliseconds of the clock below, null for ever), and how often the
-- job has changed hands: what a process writes of a job is void once another has it.
ALTER TABLE job ADD COLUMN owner VARCHAR(36);
ALTER TABLE job ADD COLUMN lease_until BIGINT;
ALTER TABLE job ADD COLUMN fence INTEGER NOT NULL DEFAULT 0;
-- Where a running job is, for those who ask another process.
ALTER TABLE job ADD COLUMN progress TEXT;

-- One clock for all processes.
CREATE VIEW store_clock AS SELECT ${millis} AS millis;
