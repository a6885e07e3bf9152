/**
 * {@code POST /train}: jobs, the spool for uploads, sources below the data root, and the worker
 * that trains.
 */
@NullMarked
package dev.semanticid.training;

import org.jspecify.annotations.NullMarked;
