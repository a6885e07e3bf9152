/** Vectors in memory and the sources that stream them; knows nothing of quantization. */
@NullMarked
package dev.semanticid.core.vector;

import org.jspecify.annotations.NullMarked;
