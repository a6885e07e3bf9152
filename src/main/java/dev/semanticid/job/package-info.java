/**
 * Jobs: kept in the database, run one at a time per kind on threads that yield to everything else,
 * continued after a restart.
 */
@NullMarked
package dev.semanticid.job;

import org.jspecify.annotations.NullMarked;
