/**
 * {@code POST /encode}, {@code /decode} and the KServe endpoints: from bytes on the wire to a batch
 * of rows, and from codes back to bytes.
 */
@NullMarked
package dev.semanticid.encode;

import org.jspecify.annotations.NullMarked;
