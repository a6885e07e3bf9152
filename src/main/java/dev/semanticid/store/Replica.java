package dev.semanticid.store;

import java.time.Duration;
import org.jspecify.annotations.Nullable;

/**
 * This process among those that share a database.
 *
 * @param id the same as long as the data directory is
 * @param lease how long a job is this process's without a sign of life, or null for ever: then
 *     nobody shares the database
 */
public record Replica(String id, @Nullable Duration lease) {}
