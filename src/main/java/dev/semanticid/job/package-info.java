/**
 * Jobs: {@link dev.semanticid.job.JobStore} keeps them in the database, {@link
 * dev.semanticid.job.JobRunner} runs one at a time per kind on low-priority threads and resumes
 * them after a restart.
 */
@NullMarked
package dev.semanticid.job;

import org.jspecify.annotations.NullMarked;
