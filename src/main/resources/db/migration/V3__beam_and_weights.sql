-- What else decides a version's codes; versions from before are greedy and without weights.
ALTER TABLE codebook_version ADD COLUMN beam_size INTEGER NOT NULL DEFAULT 1;
ALTER TABLE codebook_version ADD COLUMN weighted INTEGER NOT NULL DEFAULT 0;
