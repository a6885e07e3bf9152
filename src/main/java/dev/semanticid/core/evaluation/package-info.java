/** What a codebook does to data: errors, use of codes, collisions. */
@NullMarked
package dev.semanticid.core.evaluation;

import org.jspecify.annotations.NullMarked;
