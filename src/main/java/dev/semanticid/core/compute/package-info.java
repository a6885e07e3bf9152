/**
 * Where dot products are computed: the interface of a {@link
 * dev.semanticid.core.compute.ComputeBackend}, a portable backend, worker threads and random
 * numbers.
 */
@NullMarked
package dev.semanticid.core.compute;

import org.jspecify.annotations.NullMarked;
