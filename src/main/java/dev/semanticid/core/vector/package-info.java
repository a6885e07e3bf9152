/**
 * Vectors in memory and the sources that stream them. Knows nothing of quantization. Main types:
 * {@link dev.semanticid.core.vector.VectorBatch} and {@link
 * dev.semanticid.core.vector.VectorSource}.
 */
@NullMarked
package dev.semanticid.core.vector;

import org.jspecify.annotations.NullMarked;
