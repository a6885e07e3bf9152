/** {@code POST /encode}: from bytes on the wire to a batch, and from codes to bytes on the wire. */
@NullMarked
package dev.semanticid.encoding;

import org.jspecify.annotations.NullMarked;
