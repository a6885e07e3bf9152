/**
 * Encodes vectors with a codebook: {@link dev.semanticid.core.encode.ResidualQuantizer} for codes,
 * {@link dev.semanticid.core.encode.QuantizationDetails} for margins and norms.
 */
@NullMarked
package dev.semanticid.core.encode;

import org.jspecify.annotations.NullMarked;
