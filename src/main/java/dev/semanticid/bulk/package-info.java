/** {@code POST /encode/jobs}: encodes all rows of a source into one file, as a job. */
@NullMarked
package dev.semanticid.bulk;

import org.jspecify.annotations.NullMarked;
