/** Codebooks, exact encoding with them, and the training that makes them. */
@NullMarked
package dev.semanticid.core.quantizer;

import org.jspecify.annotations.NullMarked;
