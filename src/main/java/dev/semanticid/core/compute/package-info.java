/**
 * Where dot products are computed: the backend interface, a portable backend, and worker threads.
 */
@NullMarked
package dev.semanticid.core.compute;

import org.jspecify.annotations.NullMarked;
